"""A full replica's 503 has Retry-After and retry-after-ms, which openai-python's own retries keep to: 12 clients at once of a
replica that takes one and lets two wait."""
import sys
import tempfile
import threading

import openai

sys.argv = [sys.argv[0], "none"]
from fleet import Replica  # noqa: E402


def ask(port, retries, results):
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=retries)
    try:
        client.completions.create(model="adder", prompt="123+456=", max_tokens=48, temperature=0, extra_body={"loops": 32, "ignore_eos": True})
        results.append("ok")
    except openai.APIStatusError as e:
        assert e.status_code == 503 and float(e.response.headers["retry-after"]) > 0 and int(e.response.headers["retry-after-ms"]) > 0, e
        results.append("503")


def main():
    with tempfile.TemporaryFile() as log:
        replica = Replica(log, "--max-running", "1", "--queue-limit", "2")
        replica.ready()
        outcomes = {}
        for retries in (0, 12):
            results = []
            threads = [threading.Thread(target=ask, args=(replica.port, retries, results)) for _ in range(12)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            outcomes[retries] = results
        replica.stop()
    print(f"openai-python, 12 clients of a full replica: {outcomes[0].count('503')} refused without retries, {outcomes[12].count('503')} with them")
    assert outcomes[0].count("503") > 0 and outcomes[12] == ["ok"] * 12, outcomes


main()
