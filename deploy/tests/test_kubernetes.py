"""The manifests and the chart: valid for the API of several versions, in agreement with each other, and with us."""

import copy
import json
import re
import subprocess

import pytest
import yaml

from files import BIN, DEPLOY, ROOT, check, documents, run

MANIFESTS = DEPLOY / "kubernetes"
CHART = DEPLOY / "helm/waypost"
# The oldest that has all that is used (Chart.yaml), and the newest that there are schemas of.
VERSIONS = ["1.30", "1.33", "1.37"]
# Of the Prometheus operator, which no schema of Kubernetes knows.
FOREIGN = {"ServiceMonitor"}


def plain():
    """Everything that `kubectl apply -k` would send."""
    return documents(run(BIN / "kubectl", "kustomize", MANIFESTS).stdout)


def rendered(*options):
    return documents(run(BIN / "helm", "template", "waypost", CHART, "--kube-version", "1.37.0", *options).stdout)


def by_name(objects):
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in objects}


def one(objects, kind, name="waypost"):
    return by_name(objects)[f"{kind}/{name}"]


RENDERINGS = {
    "plain": (),
    "defaults": (),
    "all": ("--set", "serviceMonitor.enabled=true,networkPolicy.egress[0].ports[0].port=8000"),
    "least": (
        *("--set", "autoscaling.enabled=false,podDisruptionBudget.enabled=false,networkPolicy.enabled=false"),
        *("--set", "existingConfigMap=mine,keys.secret=,fullnameOverride=router,image.tag=x,grace=5"),
    ),
    "dressed": (
        *("--set", "podLabels.team=blue,podAnnotations.a=b,nodeSelector.disk=ssd,imagePullSecrets[0].name=s"),
        *("--set", "tolerations[0].key=x,tolerations[0].operator=Exists,env[0].name=A,env[0].value=b"),
        *("--set-json", 'affinity={"nodeAffinity": {}}'),
    ),
    "tls": (
        *("--set-json", 'config.listeners.egress_traffic.tls={"cert": "/etc/tls/tls.crt", "key": "/etc/tls/tls.key"}'),
        *("--set-json", 'extraVolumes=[{"name": "tls", "secret": {"secretName": "waypost-tls"}}]'),
        *("--set-json", 'extraVolumeMounts=[{"name": "tls", "mountPath": "/etc/tls", "readOnly": true}]'),
    ),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", RENDERINGS)
def test_objects_are_valid(name, version):
    import kubernetes_validate

    objects = plain() if name == "plain" else rendered(*RENDERINGS[name])
    assert len(objects) >= 4
    for item in objects:
        if item["kind"] not in FOREIGN:
            kubernetes_validate.validate(item, version, strict=True)


def test_a_wrong_object_is_not_valid():
    """The checker checks."""
    import kubernetes_validate

    wrong = copy.deepcopy(one(plain(), "Deployment"))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_chart_is_clean():
    run(BIN / "helm", "lint", "--strict", CHART)


@pytest.mark.parametrize(
    "wrong",
    ["replicas=0", "image.repository=", "ports.http=80", "colour=red", "grace=soon", "serviceMonitor.interval=often", "ports.http=12001"],
)
def test_wrong_values_are_refused(wrong):
    ran = subprocess.run([BIN / "helm", "template", CHART, "--set", wrong], capture_output=True, text=True, check=False)
    assert ran.returncode != 0, wrong


def without_the_charts_labels(item):
    """The object as one would write it by hand."""
    ours = {"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}
    if isinstance(item, dict):
        return {key: without_the_charts_labels(value) for key, value in item.items() if key not in ours}
    return [without_the_charts_labels(value) for value in item] if isinstance(item, list) else item


def comparable(objects):
    found = without_the_charts_labels(by_name(objects))
    config = found["ConfigMap/waypost"]["data"]
    config["waypost.yaml"] = yaml.safe_load(config["waypost.yaml"])
    container = found["Deployment/waypost"]["spec"]["template"]["spec"]["containers"][0]
    container.pop("imagePullPolicy", None)
    return found


def test_chart_and_manifests_say_the_same():
    monitor = documents((MANIFESTS / "servicemonitor.yaml").read_text())
    assert comparable(rendered("--set", "serviceMonitor.enabled=true")) == comparable(plain() + monitor)


def test_probes_ask_as_the_listener_speaks():
    def probes(*options):
        container = one(rendered(*options), "Deployment")["spec"]["template"]["spec"]["containers"][0]
        return [container[f"{name}Probe"] for name in ("startup", "readiness", "liveness")]

    asked = [probe["httpGet"] for probe in probes()]
    assert [(probe["path"], probe.get("scheme")) for probe in asked] == [("/readyz", None)] * 2 + [("/healthz", None)]
    assert {probe["httpGet"]["scheme"] for probe in probes(*RENDERINGS["tls"])} == {"HTTPS"}
    for options in (("existingConfigMap=mine,probeScheme=HTTPS",), ("probeScheme=HTTPS",)):
        assert {probe["httpGet"]["scheme"] for probe in probes("--set", *options)} == {"HTTPS"}
    # Nobody has a certificate for them.
    strict = ("--set", "config.listeners.egress_traffic.tls.client_ca=/etc/tls/ca.crt")
    assert all(probe["tcpSocket"] == {"port": "http"} for probe in probes(*RENDERINGS["tls"], *strict))


def test_listeners_as_a_list_are_refused_in_words():
    listeners = 'config.listeners=[{"name": "x", "address": "0.0.0.0", "port": 12000}]'
    command = [BIN / "helm", "template", CHART, "--set-json", listeners]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode != 0 and "write it as a map here" in ran.stderr, ran.stderr


def test_versions_agree():
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version
    assert one(plain(), "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] == f"waypost:{version}"


def test_configurations_load(tmp_path):
    for objects in (plain(), rendered()):
        check(one(objects, "ConfigMap")["data"]["waypost.yaml"], tmp_path)


def every_pod():
    for name, options in RENDERINGS.items():
        objects = plain() if name == "plain" else rendered(*options)
        deployment = next(item for item in objects if item["kind"] == "Deployment")
        yield objects, deployment, deployment["spec"]["template"]["spec"]


def test_pods_have_time_to_drain():
    for _, _, pod in every_pod():
        container = pod["containers"][0]
        grace = int(container["args"][container["args"].index("--grace") + 1].removesuffix("s"))
        before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= before + grace + 5


def test_pods_have_few_rights():
    """What the `restricted` level of the Pod Security Standards asks for, and a root that nobody writes."""
    for _, _, pod in every_pod():
        container = pod["containers"][0]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True and rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        # The user of the image.
        image = (DEPLOY / "container/Containerfile").read_text()
        assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" in image
        # Never changes while the pod lives.
        assert not any("subPath" in mount for mount in container["volumeMounts"])


def test_names_and_ports_lead_somewhere():
    for objects, deployment, pod in every_pod():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}

        def selects(selector, labels=labels):
            return selector.items() <= labels.items()

        assert selects(deployment["spec"]["selector"]["matchLabels"])
        for item in objects:
            spec = item.get("spec", {})
            if item["kind"] == "Service":
                assert selects(spec["selector"])
                assert all(port["port"] == ports[port["targetPort"]] for port in spec["ports"])
            elif item["kind"] == "PodDisruptionBudget":
                assert selects(spec["selector"]["matchLabels"])
            elif item["kind"] == "NetworkPolicy":
                assert selects(spec["podSelector"]["matchLabels"])
                assert {port["port"] for rule in spec["ingress"] for port in rule["ports"]} == set(ports)
            elif item["kind"] == "HorizontalPodAutoscaler":
                assert spec["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
                assert "replicas" not in deployment["spec"]
            elif item["kind"] == "ServiceMonitor":
                services = [other for other in objects if other["kind"] == "Service"]
                wanted = spec["selector"]["matchLabels"].items()
                found = [other for other in services if wanted <= other["metadata"]["labels"].items()]
                assert len(found) == 1
                names = {port["name"] for port in found[0]["spec"]["ports"]}
                assert {endpoint["port"] for endpoint in spec["endpoints"]} <= names
            elif item["kind"] == "ConfigMap":
                config = yaml.safe_load(item["data"]["waypost.yaml"])
                assert config["listeners"]["egress_traffic"]["port"] == ports["http"]
                assert config["admin"]["port"] == ports["admin"]
        # Where nothing is mounted under this name, the pod waits for ever.
        given = {item["metadata"]["name"] for item in objects if item["kind"] == "ConfigMap"} | {"mine"}
        sources = next(volume for volume in pod["volumes"] if volume["name"] == "configuration")["projected"]["sources"]
        assert all(source["configMap"]["name"] in given for source in sources if "configMap" in source)


def test_every_file_is_applied():
    listed = set(yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"])
    there = {path.name for path in MANIFESTS.glob("*.yaml")} - {"kustomization.yaml", "servicemonitor.yaml"}
    assert listed == there


def test_the_schema_knows_every_value():
    """A value that the schema does not name would be refused; one that no template reads would be idle."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    templates = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    for key in values:
        assert f".Values.{key}" in templates, key
