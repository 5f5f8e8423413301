//! One row a company: the only file that names one.
//!
//! `docs` is the company's own page, `base_url` what it publishes, `key_variables` the usual names of its key. Messages
//! are listed as native only where they are served for every model: a client that speaks Messages is then passed
//! through instead of translated. Responses likewise, and only where the company keeps answers for
//! `previous_response_id`: for all others they are kept here.

use std::borrow::Cow::Borrowed;

use crate::dialect::DialectId;
use crate::provider::{AuthScheme, Blank, InAddress, Provider, Quirks, Served, Versions};

/// The provider of this id or alias.
#[must_use]
pub fn find(id_or_alias: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.id == id_or_alias || provider.aliases.contains(&id_or_alias))
}

/// What the GenAI semantic conventions call this provider (`gen_ai.provider.name`,
/// <https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/>); its id where they know it not.
#[must_use]
pub fn gen_ai_name(id: &str) -> &str {
    match id {
        "amazon_bedrock" => "aws.bedrock",
        "azure_anthropic" => "azure.ai.inference",
        "azure_openai" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "moonshotai" => "moonshot_ai",
        "vertex_ai" => "gcp.vertex_ai",
        "xai" => "x_ai",
        id => id,
    }
}

/// OpenAI's own models: newer ones refuse `max_tokens`.
const OPENAI_MODELS: Quirks =
    Quirks { max_completion_tokens: true, openai_fields: true, stream_usage: true, ..Quirks::NONE };

/// Everybody else's: all of them know `system`, many refuse `developer`.
const OTHER_MODELS: Quirks = Quirks { no_developer_role: true, stream_usage: true, ..Quirks::NONE };

/// Their models think in the open between calls of tools and want to be reminded of it.
const THINKERS: Quirks = Quirks { reasoning_content: true, ..OTHER_MODELS };

const NO_STREAM_OPTIONS: Quirks = Quirks { no_stream_options: true, stream_usage: false, ..OTHER_MODELS };

/// A company that speaks Chat Completions at `/v1` and takes its key as a bearer token.
const OPENAI_COMPATIBLE: Provider = Provider {
    id: Borrowed(""),
    aliases: &[],
    name: Borrowed(""),
    docs: "",
    base_url: Borrowed(""),
    path_prefix: Borrowed("/v1"),
    dialects: &[DialectId::OpenAiChat],
    elsewhere: Borrowed(&[]),
    blanks: &[],
    versions: None,
    query: Borrowed(""),
    auth: AuthScheme::Bearer,
    key_variables: &[],
    quirks: OTHER_MODELS,
    base_url_required: false,
};

/// Messages behind `/anthropic`, for all of the company's models.
const MESSAGES: Served = Served {
    dialect: DialectId::AnthropicMessages,
    path_prefix: Borrowed("/anthropic/v1"),
    auth: AuthScheme::Bearer,
    models: &[],
    in_address: None,
};

/// A server on one's own machine, at the port that it takes by default.
const OWN_MACHINE: Provider = Provider {
    dialects: &[DialectId::OpenAiChat, DialectId::AnthropicMessages],
    auth: AuthScheme::Optional,
    ..OPENAI_COMPATIBLE
};

/// Every known provider, in alphabetical order of its id.
pub const PROVIDERS: &[Provider] = &[
    // Takes a Bedrock API key, or requests that an access key has signed. Chat Completions knows OpenAI's models only:
    // <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html>.
    Provider {
        id: Borrowed("amazon_bedrock"),
        aliases: &["amazon", "bedrock"],
        name: Borrowed("Amazon Bedrock"),
        docs: "https://docs.aws.amazon.com/bedrock/latest/userguide/apis.html",
        base_url: Borrowed("https://bedrock-runtime.{region}.amazonaws.com"),
        path_prefix: Borrowed(""),
        dialects: &[DialectId::BedrockConverse],
        elsewhere: Borrowed(&[Served {
            dialect: DialectId::OpenAiChat,
            path_prefix: Borrowed("/openai/v1"),
            auth: AuthScheme::Bearer,
            models: &["openai.*", "*.openai.*"],
            in_address: None,
        }]),
        blanks: &[Blank {
            name: "region",
            example: "us-east-1",
            variables: &["AWS_REGION", "AWS_DEFAULT_REGION"],
            hosts: &[],
        }],
        key_variables: &["AWS_BEARER_TOKEN_BEDROCK"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("anthropic"),
        name: Borrowed("Anthropic"),
        docs: "https://platform.claude.com/docs/en/api/messages",
        base_url: Borrowed("https://api.anthropic.com"),
        dialects: &[DialectId::AnthropicMessages],
        auth: AuthScheme::XApiKey,
        key_variables: &["ANTHROPIC_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    // Claude of Microsoft Foundry; the model's name is the deployment's.
    Provider {
        id: Borrowed("azure_anthropic"),
        name: Borrowed("Claude in Microsoft Foundry"),
        docs: "https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry",
        base_url: Borrowed("https://{resource}.services.ai.azure.com"),
        path_prefix: Borrowed("/anthropic/v1"),
        dialects: &[DialectId::AnthropicMessages],
        blanks: &[Blank {
            name: "resource",
            example: "my-resource",
            variables: &["ANTHROPIC_FOUNDRY_RESOURCE"],
            hosts: &[],
        }],
        auth: AuthScheme::XApiKey,
        key_variables: &["ANTHROPIC_FOUNDRY_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    // The model's name is the deployment's. A version that is a date means the API that came before `v1`.
    Provider {
        id: Borrowed("azure_openai"),
        aliases: &["azure"],
        name: Borrowed("Azure OpenAI"),
        docs: "https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle",
        base_url: Borrowed("https://{resource}.openai.azure.com"),
        path_prefix: Borrowed("/openai/v1"),
        dialects: &[DialectId::OpenAiChat, DialectId::OpenAiResponses],
        blanks: &[Blank {
            name: "resource",
            example: "my-resource",
            variables: &["AZURE_OPENAI_RESOURCE", "AZURE_RESOURCE_NAME"],
            hosts: &[],
        }],
        versions: Some(Versions {
            parameter: "api-version",
            dialects: &[DialectId::OpenAiChat],
            path_prefix: "/openai/deployments/{model}",
        }),
        auth: AuthScheme::ApiKey,
        key_variables: &["AZURE_OPENAI_API_KEY"],
        quirks: OPENAI_MODELS,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("baseten"),
        name: Borrowed("Baseten"),
        docs: "https://docs.baseten.co/inference/model-apis/overview",
        base_url: Borrowed("https://inference.baseten.co"),
        key_variables: &["BASETEN_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("cerebras"),
        name: Borrowed("Cerebras"),
        docs: "https://inference-docs.cerebras.ai",
        base_url: Borrowed("https://api.cerebras.ai"),
        key_variables: &["CEREBRAS_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("chutes"),
        name: Borrowed("Chutes"),
        docs: "https://chutes.ai/docs",
        base_url: Borrowed("https://llm.chutes.ai"),
        key_variables: &["CHUTES_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    // `https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1`: the path holds the account, so it has no default.
    Provider {
        id: Borrowed("cloudflare"),
        name: Borrowed("Cloudflare Workers AI"),
        docs: "https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
        path_prefix: Borrowed(""),
        key_variables: &["CLOUDFLARE_API_TOKEN"],
        base_url_required: true,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("cohere"),
        name: Borrowed("Cohere"),
        docs: "https://docs.cohere.com/docs/compatibility-api",
        base_url: Borrowed("https://api.cohere.ai"),
        path_prefix: Borrowed("/compatibility/v1"),
        key_variables: &["COHERE_API_KEY", "CO_API_KEY"],
        quirks: NO_STREAM_OPTIONS,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("crusoe"),
        name: Borrowed("Crusoe"),
        docs: "https://docs.crusoecloud.com/quickstart/getting-started-with-serverless-inference",
        base_url: Borrowed("https://api.inference.crusoecloud.com"),
        key_variables: &["CRUSOE_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    // The workspace's address; the model's name is the serving endpoint's.
    Provider {
        id: Borrowed("databricks"),
        name: Borrowed("Databricks"),
        docs: "https://docs.databricks.com/aws/en/machine-learning/model-serving/score-foundation-models",
        path_prefix: Borrowed("/serving-endpoints"),
        key_variables: &["DATABRICKS_TOKEN"],
        base_url_required: true,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("deepinfra"),
        name: Borrowed("DeepInfra"),
        docs: "https://deepinfra.com/docs/openai_api",
        base_url: Borrowed("https://api.deepinfra.com"),
        path_prefix: Borrowed("/v1/openai"),
        key_variables: &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("deepseek"),
        name: Borrowed("DeepSeek"),
        docs: "https://api-docs.deepseek.com",
        base_url: Borrowed("https://api.deepseek.com"),
        path_prefix: Borrowed(""),
        key_variables: &["DEEPSEEK_API_KEY"],
        elsewhere: Borrowed(&[Served { auth: AuthScheme::XApiKey, ..MESSAGES }]),
        quirks: THINKERS,
        ..OPENAI_COMPATIBLE
    },
    // Has Messages too, but for some of its models only.
    Provider {
        id: Borrowed("digitalocean"),
        aliases: &["do", "do_ai"],
        name: Borrowed("DigitalOcean"),
        docs: "https://docs.digitalocean.com/products/inference/how-to/use-serverless-inference/",
        base_url: Borrowed("https://inference.do-ai.run"),
        key_variables: &["DO_API_KEY", "GRADIENT_MODEL_ACCESS_KEY", "DIGITALOCEAN_ACCESS_TOKEN"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("edenai"),
        name: Borrowed("Eden AI"),
        docs: "https://www.edenai.co/docs/v3/integrations/openai-sdk-python",
        base_url: Borrowed("https://api.edenai.run"),
        path_prefix: Borrowed("/v3"),
        key_variables: &["EDENAI_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("fireworks_ai"),
        aliases: &["fireworks"],
        name: Borrowed("Fireworks AI"),
        docs: "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        base_url: Borrowed("https://api.fireworks.ai"),
        path_prefix: Borrowed("/inference/v1"),
        dialects: &[DialectId::OpenAiChat, DialectId::AnthropicMessages],
        key_variables: &["FIREWORKS_API_KEY"],
        quirks: THINKERS,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("friendli"),
        name: Borrowed("FriendliAI"),
        docs: "https://friendli.ai/docs/guides/serverless_endpoints/introduction",
        base_url: Borrowed("https://api.friendli.ai"),
        path_prefix: Borrowed("/serverless/v1"),
        key_variables: &["FRIENDLI_TOKEN"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("gemini"),
        aliases: &["google"],
        name: Borrowed("Google Gemini"),
        docs: "https://ai.google.dev/gemini-api/docs/openai",
        base_url: Borrowed("https://generativelanguage.googleapis.com"),
        path_prefix: Borrowed("/v1beta/openai"),
        elsewhere: Borrowed(&[Served {
            dialect: DialectId::Gemini,
            path_prefix: Borrowed("/v1beta"),
            auth: AuthScheme::XGoogApiKey,
            ..MESSAGES
        }]),
        key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("github"),
        aliases: &["github_models"],
        name: Borrowed("GitHub Models"),
        docs: "https://docs.github.com/en/rest/models/inference",
        base_url: Borrowed("https://models.github.ai"),
        path_prefix: Borrowed("/inference"),
        key_variables: &["GITHUB_TOKEN"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("gmi_cloud"),
        name: Borrowed("GMI Cloud"),
        docs: "https://docs.gmicloud.ai/inference-engine/api-reference/llm-api-reference",
        base_url: Borrowed("https://api.gmi-serving.com"),
        key_variables: &["GMICLOUD_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("groq"),
        name: Borrowed("Groq"),
        docs: "https://console.groq.com/docs/openai",
        base_url: Borrowed("https://api.groq.com"),
        path_prefix: Borrowed("/openai/v1"),
        key_variables: &["GROQ_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("huggingface"),
        name: Borrowed("Hugging Face"),
        docs: "https://huggingface.co/docs/inference-providers",
        base_url: Borrowed("https://router.huggingface.co"),
        key_variables: &["HF_TOKEN"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("inception"),
        name: Borrowed("Inception"),
        docs: "https://platform.inceptionlabs.ai/docs",
        base_url: Borrowed("https://api.inceptionlabs.ai"),
        key_variables: &["INCEPTION_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("io_net"),
        name: Borrowed("io.net"),
        docs: "https://io.net/docs/guides/intelligence/io-intelligence",
        base_url: Borrowed("https://api.intelligence.io.solutions"),
        path_prefix: Borrowed("/api/v1"),
        key_variables: &["IOINTELLIGENCE_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("llama_cpp"),
        name: Borrowed("llama.cpp"),
        docs: "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        base_url: Borrowed("http://127.0.0.1:8080"),
        quirks: THINKERS,
        ..OWN_MACHINE
    },
    Provider {
        id: Borrowed("lm_studio"),
        aliases: &["lmstudio"],
        name: Borrowed("LM Studio"),
        docs: "https://lmstudio.ai/docs/developer",
        base_url: Borrowed("http://127.0.0.1:1234"),
        dialects: &[DialectId::OpenAiChat, DialectId::AnthropicMessages, DialectId::OpenAiResponses],
        ..OWN_MACHINE
    },
    // Its own pages say `MODEL_API_KEY`: too common a name to send to one company unasked.
    Provider {
        id: Borrowed("meta"),
        name: Borrowed("Meta"),
        docs: "https://dev.meta.ai/docs/quickstart",
        base_url: Borrowed("https://api.meta.ai"),
        key_variables: &["META_MODEL_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("minimax"),
        name: Borrowed("MiniMax"),
        docs: "https://platform.minimax.io/docs/api-reference/text-openai-api",
        base_url: Borrowed("https://api.minimax.io"),
        key_variables: &["MINIMAX_API_KEY"],
        elsewhere: Borrowed(&[MESSAGES]),
        ..OPENAI_COMPATIBLE
    },
    // Answers 422 to fields that it does not know; its streams end with usage anyway.
    Provider {
        id: Borrowed("mistral"),
        name: Borrowed("Mistral AI"),
        docs: "https://docs.mistral.ai/api",
        base_url: Borrowed("https://api.mistral.ai"),
        key_variables: &["MISTRAL_API_KEY"],
        quirks: NO_STREAM_OPTIONS,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("moonshotai"),
        aliases: &["moonshot"],
        name: Borrowed("Moonshot AI"),
        docs: "https://platform.moonshot.ai/docs/api/chat",
        base_url: Borrowed("https://api.moonshot.ai"),
        key_variables: &["MOONSHOT_API_KEY"],
        elsewhere: Borrowed(&[MESSAGES]),
        quirks: THINKERS,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("nebius"),
        name: Borrowed("Nebius Token Factory"),
        docs: "https://docs.tokenfactory.nebius.com",
        base_url: Borrowed("https://api.tokenfactory.nebius.com"),
        key_variables: &["NEBIUS_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("novita"),
        name: Borrowed("Novita AI"),
        docs: "https://novita.ai/docs/guides/llm-api",
        base_url: Borrowed("https://api.novita.ai"),
        path_prefix: Borrowed("/openai/v1"),
        key_variables: &["NOVITA_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("nscale"),
        name: Borrowed("Nscale"),
        docs: "https://docs.nscale.com/docs/inference/serverless-models/overview",
        base_url: Borrowed("https://inference.api.nscale.com"),
        key_variables: &["NSCALE_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("nvidia"),
        aliases: &["nvidia_nim"],
        name: Borrowed("NVIDIA"),
        docs: "https://docs.api.nvidia.com/nim/",
        base_url: Borrowed("https://integrate.api.nvidia.com"),
        key_variables: &["NVIDIA_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("ollama"),
        name: Borrowed("Ollama"),
        docs: "https://docs.ollama.com/api/openai-compatibility",
        base_url: Borrowed("http://127.0.0.1:11434"),
        ..OWN_MACHINE
    },
    Provider {
        id: Borrowed("openai"),
        name: Borrowed("OpenAI"),
        docs: "https://platform.openai.com/docs/api-reference/chat",
        base_url: Borrowed("https://api.openai.com"),
        dialects: &[DialectId::OpenAiChat, DialectId::OpenAiResponses],
        key_variables: &["OPENAI_API_KEY"],
        quirks: OPENAI_MODELS,
        ..OPENAI_COMPATIBLE
    },
    // Its streams end with usage whether it is asked for or not:
    // <https://openrouter.ai/docs/guides/guides/usage-accounting>.
    Provider {
        id: Borrowed("openrouter"),
        name: Borrowed("OpenRouter"),
        docs: "https://openrouter.ai/docs/quickstart",
        base_url: Borrowed("https://openrouter.ai"),
        path_prefix: Borrowed("/api/v1"),
        dialects: &[DialectId::OpenAiChat, DialectId::AnthropicMessages],
        key_variables: &["OPENROUTER_API_KEY"],
        quirks: Quirks { reasoning_details: true, stream_usage: false, ..OTHER_MODELS },
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("ovhcloud"),
        name: Borrowed("OVHcloud AI Endpoints"),
        docs: "https://www.ovhcloud.com/en/public-cloud/ai-endpoints/catalog/",
        base_url: Borrowed("https://oai.endpoints.kepler.ai.cloud.ovh.net"),
        auth: AuthScheme::Optional,
        key_variables: &["OVHCLOUD_API_KEY", "OVH_AI_ENDPOINTS_ACCESS_TOKEN"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("parasail"),
        name: Borrowed("Parasail"),
        docs: "https://docs.parasail.io",
        base_url: Borrowed("https://api.parasail.io"),
        key_variables: &["PARASAIL_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("perplexity"),
        name: Borrowed("Perplexity"),
        docs: "https://docs.perplexity.ai",
        base_url: Borrowed("https://api.perplexity.ai"),
        path_prefix: Borrowed(""),
        key_variables: &["PERPLEXITY_API_KEY", "PPLX_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("plano"),
        aliases: &["arch"],
        name: Borrowed("Plano"),
        docs: "https://docs.planoai.dev",
        auth: AuthScheme::Optional,
        base_url_required: true,
        ..OPENAI_COMPATIBLE
    },
    // Has Messages too, but for Claude only.
    Provider {
        id: Borrowed("poe"),
        name: Borrowed("Poe"),
        docs: "https://creator.poe.com/docs/external-applications/openai-compatible-api",
        base_url: Borrowed("https://api.poe.com"),
        key_variables: &["POE_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    // The international region; keys are bound to a region.
    Provider {
        id: Borrowed("qwen"),
        aliases: &["alibaba", "dashscope"],
        name: Borrowed("Alibaba Cloud Model Studio"),
        docs: "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        base_url: Borrowed("https://dashscope-intl.aliyuncs.com"),
        path_prefix: Borrowed("/compatible-mode/v1"),
        key_variables: &["DASHSCOPE_API_KEY"],
        quirks: THINKERS,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("requesty"),
        name: Borrowed("Requesty"),
        docs: "https://docs.requesty.ai",
        base_url: Borrowed("https://router.requesty.ai"),
        key_variables: &["REQUESTY_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("sambanova"),
        name: Borrowed("SambaNova"),
        docs: "https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        base_url: Borrowed("https://api.sambanova.ai"),
        dialects: &[DialectId::OpenAiChat, DialectId::AnthropicMessages],
        key_variables: &["SAMBANOVA_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("scaleway"),
        name: Borrowed("Scaleway"),
        docs: "https://www.scaleway.com/en/docs/generative-apis/",
        base_url: Borrowed("https://api.scaleway.ai"),
        key_variables: &["SCW_SECRET_KEY", "SCALEWAY_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("sglang"),
        name: Borrowed("SGLang"),
        docs: "https://docs.sglang.io",
        base_url: Borrowed("http://127.0.0.1:30000"),
        quirks: THINKERS,
        ..OWN_MACHINE
    },
    Provider {
        id: Borrowed("siliconflow"),
        name: Borrowed("SiliconFlow"),
        docs: "https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
        base_url: Borrowed("https://api.siliconflow.com"),
        key_variables: &["SILICONFLOW_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("stepfun"),
        name: Borrowed("StepFun"),
        docs: "https://platform.stepfun.com/docs/zh/overview/concept",
        base_url: Borrowed("https://api.stepfun.com"),
        key_variables: &["STEPFUN_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("together_ai"),
        aliases: &["together"],
        name: Borrowed("Together AI"),
        docs: "https://docs.together.ai/docs/openai-api-compatibility",
        base_url: Borrowed("https://api.together.xyz"),
        key_variables: &["TOGETHER_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("upstage"),
        name: Borrowed("Upstage"),
        docs: "https://console.upstage.ai/docs/getting-started/overview",
        base_url: Borrowed("https://api.upstage.ai"),
        key_variables: &["UPSTAGE_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("venice"),
        name: Borrowed("Venice"),
        docs: "https://docs.venice.ai",
        base_url: Borrowed("https://api.venice.ai"),
        path_prefix: Borrowed("/api/v1"),
        key_variables: &["VENICE_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("vercel"),
        aliases: &["vercel_ai_gateway"],
        name: Borrowed("Vercel AI Gateway"),
        docs: "https://vercel.com/docs/ai-gateway/sdks-and-apis",
        base_url: Borrowed("https://ai-gateway.vercel.sh"),
        dialects: &[DialectId::OpenAiChat, DialectId::AnthropicMessages],
        key_variables: &["AI_GATEWAY_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    // Gemini, Claude, and by `publisher/model` what else has an endpoint of OpenAI's form.
    Provider {
        id: Borrowed("vertex_ai"),
        aliases: &["vertex"],
        name: Borrowed("Google Vertex AI"),
        docs: "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/start",
        base_url: Borrowed("https://{region}-aiplatform.googleapis.com"),
        path_prefix: Borrowed("/v1/projects/{project}/locations/{region}/publishers/google"),
        dialects: &[DialectId::Gemini],
        elsewhere: Borrowed(&[
            Served {
                path_prefix: Borrowed("/v1/projects/{project}/locations/{region}/publishers/anthropic"),
                auth: AuthScheme::Google,
                models: &["claude-*"],
                in_address: Some(InAddress {
                    plain: "/models/{model}:rawPredict",
                    stream: "/models/{model}:streamRawPredict",
                    count: Some("/models/count-tokens:rawPredict"),
                    version: "vertex-2023-10-16",
                }),
                ..MESSAGES
            },
            Served {
                dialect: DialectId::OpenAiChat,
                path_prefix: Borrowed("/v1/projects/{project}/locations/{region}/endpoints/openapi"),
                auth: AuthScheme::Google,
                models: &["*/*"],
                ..MESSAGES
            },
        ]),
        blanks: &[
            Blank {
                name: "project",
                example: "my-project",
                variables: &["GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"],
                hosts: &[],
            },
            Blank {
                name: "region",
                example: "global",
                variables: &["GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION", "CLOUD_ML_REGION"],
                hosts: &[
                    ("global", "https://aiplatform.googleapis.com"),
                    ("us", "https://aiplatform.us.rep.googleapis.com"),
                    ("eu", "https://aiplatform.eu.rep.googleapis.com"),
                ],
            },
        ],
        auth: AuthScheme::Google,
        key_variables: &["GOOGLE_OAUTH_ACCESS_TOKEN"],
        quirks: Quirks { no_call_ids: true, ..OTHER_MODELS },
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("vllm"),
        aliases: &["hosted_vllm"],
        name: Borrowed("vLLM"),
        docs: "https://docs.vllm.ai/en/stable/serving/online_serving.html",
        base_url: Borrowed("http://127.0.0.1:8000"),
        quirks: THINKERS,
        ..OWN_MACHINE
    },
    Provider {
        id: Borrowed("volcengine"),
        name: Borrowed("Volcengine Ark"),
        docs: "https://www.volcengine.com/docs/82379/1330310",
        base_url: Borrowed("https://ark.cn-beijing.volces.com"),
        path_prefix: Borrowed("/api/v3"),
        key_variables: &["ARK_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    // The model gateway: an API key stands in for a token there, and the models are those that were set up in it.
    Provider {
        id: Borrowed("watsonx"),
        aliases: &["ibm"],
        name: Borrowed("IBM watsonx.ai"),
        docs: "https://www.ibm.com/docs/en/watsonx/saas?topic=preview-accessing-models-through-model-gateway",
        base_url: Borrowed("https://{region}.ml.cloud.ibm.com"),
        path_prefix: Borrowed("/ml/gateway/v1"),
        blanks: &[Blank {
            name: "region",
            example: "us-south",
            variables: &["IBM_CLOUD_REGION"],
            hosts: &[],
        }],
        key_variables: &["IBM_CLOUD_APIKEY", "WATSONX_APIKEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("xai"),
        name: Borrowed("xAI"),
        docs: "https://docs.x.ai",
        base_url: Borrowed("https://api.x.ai"),
        dialects: &[DialectId::OpenAiChat, DialectId::OpenAiResponses],
        key_variables: &["XAI_API_KEY"],
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("xiaomi"),
        name: Borrowed("Xiaomi MiMo"),
        docs: "https://platform.xiaomimimo.com/#/docs",
        base_url: Borrowed("https://api.xiaomimimo.com"),
        key_variables: &["XIAOMI_API_KEY"],
        quirks: THINKERS,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("zai"),
        name: Borrowed("Z.AI"),
        docs: "https://docs.z.ai",
        base_url: Borrowed("https://api.z.ai"),
        path_prefix: Borrowed("/api/paas/v4"),
        key_variables: &["ZAI_API_KEY"],
        elsewhere: Borrowed(&[Served { path_prefix: Borrowed("/api/anthropic/v1"), ..MESSAGES }]),
        quirks: THINKERS,
        ..OPENAI_COMPATIBLE
    },
    Provider {
        id: Borrowed("zhipu"),
        aliases: &["zhipuai"],
        name: Borrowed("Zhipu AI"),
        docs: "https://docs.bigmodel.cn",
        base_url: Borrowed("https://open.bigmodel.cn"),
        path_prefix: Borrowed("/api/paas/v4"),
        key_variables: &["ZHIPU_API_KEY", "ZHIPUAI_API_KEY"],
        elsewhere: Borrowed(&[Served { path_prefix: Borrowed("/api/anthropic/v1"), ..MESSAGES }]),
        quirks: THINKERS,
        ..OPENAI_COMPATIBLE
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Fails with the names of the rows that `holds` is false for.
    #[track_caller]
    fn check(holds: impl Fn(&Provider) -> bool) {
        let wrong: Vec<_> = PROVIDERS.iter().filter(|row| !holds(row)).map(|row| &row.id).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    fn is_https_url(url: &str) -> bool {
        url.strip_prefix("https://")
            .is_some_and(|rest| rest.contains('.') && !rest.contains(char::is_whitespace))
    }

    #[test]
    fn rows_are_in_order_and_names_are_unique() {
        assert!(PROVIDERS.is_sorted_by(|a, b| a.id < b.id));
        let mut seen = HashSet::new();
        for name in PROVIDERS.iter().flat_map(|row| row.aliases.iter().copied().chain([row.id.as_ref()])) {
            assert!(seen.insert(name), "{name}");
        }
    }

    #[test]
    fn ids_and_aliases_are_prefixes_of_model_names() {
        let is_prefix = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        check(|row| is_prefix(&row.id) && row.aliases.iter().all(|alias| is_prefix(alias)));
        check(|row| row.aliases.is_sorted());
    }

    #[test]
    fn rows_are_complete() {
        check(|row| !row.name.is_empty() && is_https_url(row.docs) && !row.dialects.is_empty());
        check(|row| row.base_url.is_empty() == row.base_url_required);
        check(|row| !row.key_variables.is_empty() || row.auth == AuthScheme::Optional);
    }

    #[test]
    fn a_base_url_is_scheme_and_host() {
        check(|row| match row.base_url.split_once("://") {
            Some(("https", host)) => host.contains('.') && !host.contains(['/', '?', '#', '@', ' ', '$']),
            Some(("http", host)) => {
                host.strip_prefix("127.0.0.1:").is_some_and(|port| port.parse::<u16>().is_ok())
            }
            Some(_) => false,
            None => row.base_url.is_empty(),
        });
    }

    #[test]
    fn a_path_prefix_can_be_put_before_a_path() {
        let is_prefix = |path: &str| {
            path.is_empty()
                || path.starts_with('/') && !path.ends_with('/') && !path.contains(['?', '#', ' '])
        };
        check(|row| row.served().all(|served| is_prefix(&served.path_prefix)));
        check(|row| row.versions.as_ref().is_none_or(|versions| is_prefix(versions.path_prefix)));
    }

    #[test]
    fn blanks_are_filled_and_nothing_else_is_open() {
        check(|row| row.open_blanks().count() == row.blanks.len());
        check(|row| {
            let mut row = row.clone();
            for blank in row.blanks {
                row.fill(blank, "a-1");
            }
            let mut all = row.served().map(|served| served.path_prefix.replace("{model}", ""));
            row.open_blanks().count() == 0
                && !row.base_url.contains('{')
                && all.all(|path| !path.contains('{'))
        });
        // A value with a host of its own, everywhere else as it is.
        check(|row| {
            row.blanks.iter().all(|blank| {
                blank.hosts.iter().all(|(value, url)| {
                    let mut row = row.clone();
                    row.fill(blank, value);
                    row.base_url == *url && is_https_url(url)
                })
            })
        });
        let is_variable = |name: &&str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        check(|row| row.blanks.iter().all(|blank| blank.variables.iter().all(is_variable)));
    }

    #[test]
    fn one_api_at_most_claims_a_model() {
        check(|row| {
            let names = ["claude-x", "gemini-x", "meta/llama", "anthropic/claude-x", "x"];
            names.iter().all(|name| {
                row.served().filter(|served| served.claims(name)).count() <= 1
                    && row.served().any(|served| served.claims(name) || served.models.is_empty())
            })
        });
    }

    #[test]
    fn key_variables_are_upper_case() {
        let is_variable =
            |name: &&str| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        check(|row| row.key_variables.iter().all(is_variable));
        let mut seen = HashSet::new();
        for name in PROVIDERS.iter().flat_map(|row| row.key_variables) {
            assert!(seen.insert(name), "{name} would be sent to two companies");
        }
    }

    #[test]
    fn only_servers_on_this_machine_are_plain_http_and_keyless_by_default() {
        check(|row| !row.base_url.starts_with("http:") || row.auth == AuthScheme::Optional);
    }

    #[test]
    fn a_provider_is_found_by_id_and_by_alias() {
        for (name, id) in [
            ("openai", "openai"),
            ("google", "gemini"),
            ("together", "together_ai"),
            ("amazon", "amazon_bedrock"),
            ("do", "digitalocean"),
            ("do_ai", "digitalocean"),
        ] {
            assert_eq!(find(name).map(|row| row.id.as_ref()), Some(id), "{name}");
        }
        assert_eq!(find("OpenAI"), None);
        assert_eq!(find(""), None);
    }
}
