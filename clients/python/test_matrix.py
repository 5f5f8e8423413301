"""The same conversations through every SDK to every upstream dialect, by name, by alias and by `auto`."""

import json

import pytest

import sdks
from conftest import EACH, EVERY_WAY

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="session")
def connected(gateway):
    return {kind: kind(gateway) for kind in sdks.ALL}


@pytest.fixture(params=sdks.ALL, ids=lambda kind: kind.name)
def sdk(request, connected):
    return connected[request.param].new()


@pytest.mark.parametrize("model", EVERY_WAY)
@STREAM
def test_a_tool_loop(sdk, model, stream):
    sdk.user("Weather in two cities, please [[echo tools=2]]")
    turn = sdk.turn(model, stream, tools=True)
    assert [call.name for call in turn.calls] == ["get_weather"] * 2
    assert all(call.arguments.keys() == {"city", "days"} for call in turn.calls)
    sdk.results(turn.calls, ["sunny", "rain"])
    turn = sdk.turn(model, stream, tools=True)
    assert not turn.calls and "sunny" in turn.text and "rain" in turn.text
    sdk.user("Thanks")
    assert "Thanks" in sdk.turn(model, stream, tools=True).text


@pytest.mark.parametrize("model", EVERY_WAY)
@STREAM
def test_thinking_with_tools(sdk, reached, reached_dialect, model, stream):
    sdk.user("Weather, please [[echo thinking tools=1]]")
    turn = sdk.turn(model, stream, tools=True, thinking=True)
    assert "echo of 15 characters" in turn.thinking
    assert len(turn.calls) == 1
    sdk.results(turn.calls, ["sunny"])
    turn = sdk.turn(model, stream, tools=True, thinking=True)
    assert "sunny" in turn.text
    # What a provider has sealed comes back to it, as it was.
    sealed = {
        "anthropic_messages": '"signature": "ZWNob19zaWduYXR1cmVfb2ZfYV90aGlua2luZ19ibG9jaw=="',
        "openai_responses": '"encrypted_content": "',
        "gemini": '"thoughtSignature": "ZWNobyBzaWduYXR1cmUgb2YgZ2V0X3dlYXRoZXI="',
        "bedrock_converse": '"signature": "ZWNob19zaWduYXR1cmVfb2ZfY29udmVyc2U="',
    }
    body = json.dumps(reached())
    assert sealed.get(reached_dialect(), "") in body


@pytest.mark.parametrize("model", EVERY_WAY)
@STREAM
def test_structured_output(sdk, model, stream):
    sdk.user("The forecast, please")
    assert json.loads(sdk.turn(model, stream, shape=True).text).keys() == {"city", "days"}


@pytest.mark.parametrize("model", EVERY_WAY)
@STREAM
def test_an_image(sdk, reached, reached_dialect, model, stream):
    sdk.user("What is this?", image=True)
    assert "1 image" in sdk.turn(model, stream).text
    # One SDK writes the other alphabet of base64, which one API alone reads.
    assert sdks.PIXEL in json.dumps(reached()) or (sdk.name == "google-genai" and reached_dialect() == "gemini")


@pytest.mark.parametrize("model", EVERY_WAY)
@STREAM
def test_a_long_conversation(sdk, reached, model, stream):
    for number in range(12):
        sdk.user(f"Question {number}{' [[echo tools=1]]' if number % 3 == 0 else ''}")
        turn = sdk.turn(model, stream, tools=True)
        if number % 3 == 0:
            sdk.results(turn.calls, [f"result {number}"])
            turn = sdk.turn(model, stream, tools=True)
            assert f"result {number}" in turn.text
        assert f"Question {number}" in turn.text
    body = json.dumps(reached())
    assert all(f"Question {number}" in body for number in range(12))
    assert all(f"result {number}" in body for number in range(0, 12, 3))


@pytest.mark.parametrize("model", EACH)
@STREAM
def test_errors_are_its_own(sdk, model, stream):
    for status, error in sdk.errors.items():
        sdk.new().user(f"Hi [[echo status={status}]]")
        with pytest.raises(error) as raised:
            sdk.turn(model, stream)
        assert getattr(raised.value, "status_code", None) or raised.value.code == status


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("fault", ["cut_after=3", "cut_after=7", "error_after=3", "error_after=7", "half"])
def test_a_stream_that_breaks_raises(sdk, model, fault):
    sdk.user(f"Hello out there [[echo {fault}]]")
    with pytest.raises(sdk.error):
        sdk.turn(model, True)
