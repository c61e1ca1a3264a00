"""Backends: what they are asked they answer, each sample on its own, whatever happens to it."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray_cluster import own_cluster

from octopack_tasks import TASKS, UserError, get_task, load_problems
from octopack_tasks.evaluation import ModelChoice, generate, start
from octopack_tasks.generation import Completion, Finish, Request, Sampling, Stop, Watch, open_backend
from octopack_tasks.plans import Plan, TaskPlan
from octopack_tasks.runs import Run
from octopack_tasks.terminal import printable

PIECES = [
    "{", "}", "}}", "}\n}", "\n", " ", "    ", "x", "return", "struct", "\nfunc", "\nfunc main(", "\n//", "\ndef",
    "\n#", "\nif", "\nprint", "```", "<|end|>", "<|endoftext|>", "<commit_msg>", "public static void main", "\u00a0",
    "\r\n", "\tfor", "@@ -1 +1 @@\n", "\\ No newline at end of file", "a description of it all", "`", "<", "|end", "|>",
]  # fmt: skip


def requests_of(
    task: str, prompt: str = "instruct", *, n_samples: int = 1, limit: int = 3, stop: Stop = Stop.PAPER, **plan: Any
) -> list[Request]:
    (work,) = Plan((TaskPlan(task, prompt, n_samples, **plan),), "starter", limit=limit).load()
    return [work.request(problem, range(n_samples), stop) for problem in work.problems]


# --- ending a completion early ----------------------------------------------------------------------------------------


@settings(max_examples=1500, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=30),
    name=st.sampled_from([name for name in TASKS if "explainsynthesize" not in name]),
    data=st.data(),
)
def test_a_completion_that_ends_early_is_read_as_the_whole_one(pieces: list[str], name: str, data: Any) -> None:
    task = get_task(name)
    prompt = data.draw(st.sampled_from([name for name in task.formats if name not in ("edit",)]))
    problem = load_problems(task.language.name, "starter")[0]
    request = Request(name, problem, task.prompt(problem, prompt), (0,))
    watch = Watch(request.is_complete)
    for piece in pieces:
        if watch.add(piece):
            break
    assert task.solution(problem, watch.text, prompt) == task.solution(problem, "".join(pieces), prompt)


def test_two_closing_braces_in_one_piece_are_not_missed() -> None:
    task = get_task("humanevalsynthesize-cpp")
    watch = Watch(task.is_complete)
    assert not watch.add(" if (x) {")
    assert watch.add("}}}")


def test_a_stop_word_that_has_begun_is_waited_for() -> None:
    (request,) = requests_of("humanevalfixtests-python", limit=1)
    begun = "\n    return 1\n<|endoftext"
    assert not any(request.is_complete(begun[:length]) for length in range(len(begun) + 1))
    assert request.is_complete(begun + "|>")
    assert request.is_complete("\n    return 1\n<|end of text")


def test_nothing_ends_early_where_the_whole_text_is_wanted() -> None:
    (request,) = requests_of("humanevalsynthesize-cpp", limit=1, stop=Stop.NEVER)
    watch = Watch(request.is_complete)
    assert not watch.add("}\n<|endoftext|>")


def test_a_description_ends_where_its_length_limit_cuts_it() -> None:
    (request,) = requests_of("humanevalexplaindescribe-python", limit=1)
    length = len(request.problem.docstring)
    assert not request.is_complete(" " + "a" * (length - 1) + "  ")
    assert request.is_complete(" " + "a" * length)


def test_every_sample_has_a_seed_of_its_own() -> None:
    requests = [*requests_of("humanevalfixtests-python"), *requests_of("humanevalfixdocs-python")]
    seeds = [request.seed(sample, run) for request in requests for sample in range(5) for run in (0, 1)]
    assert len(set(seeds)) == len(seeds) == 60
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "vlm"}, "unknown backend 'vlm'; there are: vllm"),
        ({"name": "replay", "options": {"speed": 3}}, "does not take these options"),
        ({"name": "transformers", "options": {"batch_size": 0}}, "batch_size must be a whole number above 0, not 0"),
        ({"name": "replay", "options": {"speed": 3}}, "it takes: none"),
        ({"name": "ray", "options": {"replicas": 0}}, "replicas must be a whole number above 0, not 0"),
        ({"name": "ray", "options": {"replicas": "two"}}, "replicas must be a whole number above 0, not 'two'"),
        ({"name": "ray", "options": {"gpus": "all"}}, "gpus must be a number from 0"),
        ({"name": "openai", "options": {"concurrency": 0}}, "concurrency must be a whole number above 0, not 0"),
        ({"name": "openai", "options": {"concurrency": "many"}}, "concurrency must be .*, not 'many'"),
        ({"name": "openai", "options": {"max_retries": -1}}, "max_retries must be a whole number from 0, not -1"),
        ({"name": "openai", "options": {"requests_per_minute": "fast"}}, "requests_per_minute must be a number above"),
        ({"name": "openai", "options": {"requests_per_minute": -3}}, "requests_per_minute must be a number above"),
        ({"name": "openai", "options": {"timeout": "long"}}, "timeout must be a number above 0"),
        ({"name": "openai", "options": {"first_pause": "short"}}, "first_pause must be a number from 0"),
        ({"name": "openai", "options": {"stream": "no"}}, "stream must be true or false, not 'no'"),
        ({"name": "openai", "options": {"extra_body": 5}}, "extra_body must be a JSON object"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_backend(model="canonical", **options)


@pytest.mark.parametrize("values", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"top_k": -1}])
def test_sampling_that_makes_no_sense(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="must be"):
        Sampling(**values)


# --- a server ---------------------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Speaks OpenAI's interface; `plan` says what it does to each request in turn, then it answers all."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.begun: list[float] = []
        self.words_sent = Counter[str]()
        self.at_once = self.most_at_once = 0
        self.meeting: threading.Barrier | None = None
        self.lock = threading.Lock()
        self.served_as = "small-0613"
        self.text = "\n    return {seed}\n\ndef other():\n" + "    word\n" * 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _json(self, status: int, content: Any, **headers: str) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._json(200, {"data": [{"id": "small"}, {"id": "large"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.keys.append(self.headers.get("Authorization"))
            self.server.begun.append(time.monotonic())
            fate = self.server.plan.pop(0) if self.server.plan else "answer"
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        if self.server.meeting:
            self.server.meeting.wait(60)
        time.sleep(0.01)
        with self.server.lock:
            self.server.at_once -= 1
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._meet(fate, body)

    def _meet(self, fate: str, body: dict[str, Any]) -> None:
        if fate == "busy":
            self._json(429, {"error": {"message": "slow down"}}, Retry_After="0.2")
        elif fate == "broken":
            self._json(500, {"error": {"message": "out of order"}})
        elif fate == "gone":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fate == "too long":
            self._json(400, {"error": {"message": "This model's maximum context length is 5 tokens."}})
        elif "context length" in fate:
            self._json(400, {"error": {"message": fate, "code": 400}})
        elif fate == "refused":
            self._json(400, {"error": {"message": "unknown field"}})
        elif fate == "for ever":
            self._json(429, {"error": {"message": "come back"}}, Retry_After="inf")
        elif fate.startswith(("{", "[")):
            self._say(fate, is_event=bool(body.get("stream")))
        elif fate == "without a stream":
            self._answer({**body, "stream": False}, is_cut=False)
        else:
            self._answer(body, is_cut=fate == "cut")

    def _say(self, content: str, *, is_event: bool) -> None:
        data = f"data: {content}\n\ndata: [DONE]\n\n".encode() if is_event else content.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if is_event else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, body: dict[str, Any], *, is_cut: bool) -> None:
        is_chat = "messages" in body
        text = self.server.text.replace("{seed}", str(body.get("seed")))
        if not body.get("stream"):
            said = {"message": {"content": text}} if is_chat else {"text": text}
            choices = [{**said, "finish_reason": "stop"}]
            self._json(200, {"choices": choices, "usage": {"completion_tokens": 5}, "model": self.server.served_as})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for index in range(0, len(text), 4):
            if is_cut and index > 8:
                return
            piece = {"delta": {"content": text[index : index + 4]}} if is_chat else {"text": text[index : index + 4]}
            self._event({"choices": [{**piece, "finish_reason": None}], "model": self.server.served_as})
            self.server.words_sent[str(body.get("seed"))] += 1
            time.sleep(0.0005)
        self._event({"choices": [{"text": "", "finish_reason": "length"}]})
        self._event({"choices": [], "usage": {"completion_tokens": 77}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, content: Any) -> None:
        self.wfile.write(b"data: " + json.dumps(content).encode() + b"\n\n")
        self.wfile.flush()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def ask(server: Server, requests: list[Request], **options: Any) -> list[Completion]:
    given = {"base_url": server.url, "first_pause": 0.01, "timeout": 20.0, **options}
    with open_backend("openai", "small", options=given) as backend:
        return sorted(backend.generate(requests), key=lambda each: (each.request.problem.task_id, each.sample))


def test_a_server_is_asked_for_each_sample_with_its_seed(server: Server) -> None:
    requests = requests_of("humanevalfixtests-python", n_samples=3)
    server.text += "    word\n" * 20_000  # half a minute, of which nobody shall wait for more than the beginning
    completions = ask(server, requests)
    assert len(completions) == 9
    for completion in completions:
        seed = completion.request.seed(completion.sample, 0)
        assert completion.text.startswith(f"\n    return {seed}\n\nd")
        assert completion.finish is Finish.COMPLETE
        assert server.words_sent[str(seed)] < len(server.text) / 4, "the server was not told to stop"
    assert {body["prompt"] for body in server.bodies} == {request.prompt.text for request in requests}
    assert {(body["temperature"], body["top_p"], body["max_tokens"]) for body in server.bodies} == {(0.2, 0.95, 1024)}
    assert set(server.keys) == {"Bearer secret"}


@pytest.mark.parametrize("stream", [True, False])
def test_whatever_a_server_suffers_from_is_tried_again(server: Server, stream: bool) -> None:
    server.plan = ["busy", "broken", "gone", "cut" if stream else "gone", "busy", "answer"] * 2
    completions = ask(server, requests_of("humanevalfixtests-python"), stream=stream, concurrency=2)
    assert [completion.finish for completion in completions] == [Finish.COMPLETE if stream else Finish.END] * 3
    assert len(server.bodies) > 3


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "nonsense",
    [
        "[1, 2]",
        "{}",
        '{"choices": []}',
        '{"choices": ' + "[" * 100_000,
        '{"choices": [null]}',
        '{"choices": [5]}',
        '{"choices": {"text": "a"}}',
        '{"choices": [{"text": 5, "finish_reason": "stop"}]}',
        '{"choices": [{"text": ["a"], "finish_reason": "stop"}]}',
        '{"choices": [{"text": "a", "finish_reason": {"type": "stop"}}]}',
        '{"choices": [{"text": "a", "finish_reason": "stop"}], "usage": "much"}',
        '{"choices": [{"text": "a", "finish_reason": "stop"}], "usage": {"completion_tokens": "two"}}',
        '{"choices": [{"text": "a part", "finish_reason": "abort"}]}',
        '{"error": "out of memory", "choices": [{"text": "a part", "finish_reason": "stop"}]}',
    ],
)
def test_an_answer_that_makes_no_sense_is_tried_again(server: Server, nonsense: str, stream: bool) -> None:
    server.plan = [nonsense]
    (completion,) = ask(server, requests_of("humanevalfixtests-python", limit=1), stream=stream)
    assert completion.text.startswith("\n    return ")
    assert len(server.bodies) == 2


def test_an_error_loses_no_completion_that_is_there(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.plan = ["answer", "refused"]
    requests = requests_of("humanevalfixtests-python", n_samples=2)
    options = {"base_url": server.url, "stream": False, "concurrency": 6}
    answered = []
    there: list[Completion | BaseException] = []

    class Noting(queue.SimpleQueue[Any]):
        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            super().put(item)
            if isinstance(item, Completion | BaseException):
                there.append(item)

    monkeypatch.setattr(queue, "SimpleQueue", Noting)

    def keep(completions: Iterator[Completion]) -> None:
        for completion in completions:
            answered.append((completion.request.problem.task_id, completion.sample))
            deadline = time.monotonic() + 60
            while len(there) < len(requests) * 2 and time.monotonic() < deadline:
                time.sleep(0.01)

    with open_backend("openai", "small", options=options) as backend:
        completions = backend.generate(requests)
        with pytest.raises(UserError, match="unknown field"):
            keep(completions)
    assert len(set(answered)) == 5


def test_a_server_that_answers_nonsense_only_ends_the_run_clearly(server: Server) -> None:
    server.plan = ["[1, 2]"] * 2
    with pytest.raises(UserError, match=r"after 2 attempts \(the server's answer makes no sense"):
        ask(server, requests_of("humanevalfixtests-python", limit=1), max_retries=1)


def test_a_server_that_cannot_stream_is_understood(server: Server) -> None:
    server.plan = ["without a stream"]
    (completion,) = ask(server, requests_of("humanevalfixtests-python", limit=1))
    assert (completion.finish, completion.tokens) == (Finish.END, 5)
    assert len(server.bodies) == 1


def test_who_leaves_does_not_wait_for_a_slow_server(server: Server) -> None:
    server.plan = ["for ever", "refused"]
    server.meeting = threading.Barrier(2)  # who asks after "for ever" was heard would not be refused before tomorrow
    with pytest.raises(UserError, match="unknown field"):
        ask(server, requests_of("humanevalfixtests-python", limit=2), concurrency=2)
    waiting = [thread for thread in threading.enumerate() if thread.name.startswith("openai-")]
    assert all(thread.daemon for thread in waiting)
    for thread in waiting:
        thread.join(60)
    assert not any(thread.is_alive() for thread in waiting)


def test_a_pause_that_the_server_asks_for_is_kept(server: Server) -> None:
    server.plan = ["busy"]
    ask(server, requests_of("humanevalfixtests-python", limit=1))
    assert server.begun[1] - server.begun[0] >= 0.2


def test_a_server_that_stays_broken_ends_the_run_clearly(server: Server) -> None:
    server.plan = ["broken"] * 3
    with pytest.raises(UserError, match=r"after 3 attempts \(500: out of order\).*is kept: run the same command again"):
        ask(server, requests_of("humanevalfixtests-python", limit=1), max_retries=2)


def test_as_many_requests_as_wanted_are_in_flight_and_no_more(server: Server) -> None:
    server.meeting = threading.Barrier(3)
    completions = ask(server, requests_of("humanevalfixtests-python", n_samples=4), concurrency=3, stream=False)
    assert len(completions) == 12
    assert server.most_at_once == 3


def test_requests_begin_no_faster_than_allowed(server: Server) -> None:
    before = time.monotonic()  # the first request may take its time to the server
    ask(server, requests_of("humanevalfixtests-python", n_samples=2), requests_per_minute=1200)
    assert server.begun[-1] - before >= 5 * 60 / 1200


def test_a_prompt_that_the_server_finds_too_long_is_reported_as_such(server: Server) -> None:
    server.plan = ["too long"]
    (completion,) = ask(server, requests_of("humanevalfixtests-python", limit=1))
    assert completion.finish is Finish.PROMPT_TOO_LONG


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 2048 tokens. However, you requested 2124 tokens (1100 in the messages, "
        "1024 in the completion). Please reduce the length of the messages or completion.",
        "'max_tokens' or 'max_completion_tokens' is too large: 1024. This model's maximum context length is 2048 "
        "tokens and your request has 1100 input tokens (1024 > 2048 - 1100).",
        "You passed 1100 input tokens and requested 1024 output tokens. However, the model's context length is only "
        "2048 tokens, resulting in a maximum input length of 1024 tokens.",
    ],
)
def test_an_answer_gets_the_room_that_the_prompt_leaves(server: Server, message: str) -> None:
    server.plan = [message]
    (completion,) = ask(server, requests_of("humanevalfixtests-python", limit=1))
    assert completion.finish is Finish.COMPLETE
    assert [body["max_tokens"] for body in server.bodies] == [1024, 948]
    server.plan = [message.replace("1100", "2048")]
    (completion,) = ask(server, requests_of("humanevalfixtests-python", limit=1))
    assert (completion.finish, len(server.bodies)) == (Finish.PROMPT_TOO_LONG, 3)


def test_a_chat_is_continued_or_begun(server: Server) -> None:
    server.text = "words " * 100
    (completion,) = ask(server, requests_of("humanevalfixtests-python", "chat", limit=1))
    assert (completion.finish, completion.tokens) == (Finish.LENGTH, 77)
    body = server.bodies[0]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]
    assert body["continue_final_message"] is True
    ask(server, requests_of("humanevalfixtests-python", "chat-without-prefill", limit=1))
    assert [message["role"] for message in server.bodies[1]["messages"]] == ["user"]
    server.plan = ["refused"]
    with pytest.raises(UserError, match=r"400: unknown field\s*\); if the server cannot.*chat-without-prefill"):
        ask(server, requests_of("humanevalfixtests-python", "chat", limit=1))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("name", "is_told"), [("small-0613", False), ("tiny\x1b[2J", True)])
def test_what_the_server_calls_its_model_is_kept(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, is_told: bool, stream: bool
) -> None:
    server.served_as = name
    plan = Plan((TaskPlan("humanevalfixtests-python"),), "starter", limit=2)
    choice = ModelChoice("openai", "small", options={"base_url": server.url, "stream": stream})
    with Run(tmp_path).locked() as run:
        start(run, plan, plan.load(), choice)
        generate(run, plan, plan.load(), lambda: choice.open(plan.sampling))
    assert Run(tmp_path).manifest["served_as"] == [name]
    assert caplog.text.count(f"answers as {printable(name)}, asked for small") == is_told
    assert "\x1b" not in caplog.text


def test_fields_are_added_to_requests_and_left_out(server: Server) -> None:
    extra = {"max_tokens": None, "max_completion_tokens": 9, "temperature": None, "stream_options": None}
    ask(server, requests_of("humanevalfixtests-python", limit=1), extra_body=extra)
    (body,) = server.bodies
    assert body["max_completion_tokens"] == 9
    assert not body.keys() & {"max_tokens", "temperature", "stream_options"}


def test_a_server_without_the_model_or_none_at_all(server: Server) -> None:
    with pytest.raises(UserError, match="has no model 'tiny'; it has: small, large"):
        open_backend("openai", "tiny", options={"base_url": server.url})
    with pytest.raises(UserError, match="there is no server at"):
        open_backend("openai", "tiny", options={"base_url": "http://127.0.0.1:9/v1"})
    with pytest.raises(UserError, match="no top_k"):
        open_backend("openai", "small", sampling=Sampling(top_k=5), options={"base_url": server.url})


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
def test_a_key_that_is_none_is_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match="OPENAI_API_KEY") as raised:
        open_backend("openai", "small")
    assert key not in str(raised.value)


def test_a_key_is_in_no_manifest() -> None:
    choice = ModelChoice("openai", "small", options={"api_key": "secret", "concurrency": 3})
    assert "secret" not in json.dumps(choice.identity())


# --- a cluster --------------------------------------------------------------------------------------------------------


def test_copies_on_a_cluster_share_the_work() -> None:
    requests = requests_of("humanevalfixtests-python", n_samples=2)
    with own_cluster():
        options = {"backend": "replay", "replicas": 2}
        with open_backend("ray", "canonical", options=options) as backend:
            answered = {(each.request.problem.task_id, each.sample): each.text for each in backend.generate(requests)}
        with pytest.raises(UserError, match=r"failed on the cluster: .*takes canonical, buggy or"):
            open_backend("ray", "nothing", options=options)
    with open_backend("replay", "canonical") as backend:
        assert answered == {
            (each.request.problem.task_id, each.sample): each.text for each in backend.generate(requests)
        }


# --- transformers -----------------------------------------------------------------------------------------------------

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)  # models this small only lose by more


def _save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<end>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.save_pretrained(folder)


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of bytes with random weights."""
    folder = tmp_path_factory.mktemp("causal")
    _save_tokenizer(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=257, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=None, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder_decoder")
    _save_tokenizer(folder)
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=257, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=2, eos_token_id=0, pad_token_id=0,
        decoder_start_token_id=0,
    )  # fmt: skip
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def answers(
    folder: Path, requests: list[Request], sampling: Sampling | None = None, **options: Any
) -> dict[tuple[str, int], Completion]:
    with open_backend("transformers", str(folder), sampling=sampling, options=options) as backend:
        return {(each.request.problem.task_id, each.sample): each for each in backend.generate(requests)}


HOT = Sampling(temperature=1.0, top_p=0.9)


@pytest.mark.parametrize("prompt", ["instruct", "octocoder"])
def test_a_sample_does_not_depend_on_its_batch(causal: Path, prompt: str) -> None:
    requests = requests_of("humanevalsynthesize-cpp", prompt, n_samples=2, max_length=4096, max_new_tokens=6)
    alone = answers(causal, requests, HOT, batch_size=1)
    together = answers(causal, requests, HOT, batch_size=4)
    assert {key: each.text for key, each in alone.items()} == {key: each.text for key, each in together.items()}
    assert len({each.text for each in alone.values()}) == 6
    other = answers(causal, requests, Sampling(temperature=1.0, top_p=0.9, seed=1), batch_size=4)
    assert {each.text for each in other.values()}.isdisjoint(each.text for each in alone.values())


def test_a_sequence_ends_where_its_answer_does(causal: Path) -> None:
    lengths = {"max_length": 4096, "max_new_tokens": 30}
    early = requests_of("humanevalfixtests-python", n_samples=4, limit=1, **lengths)
    whole = requests_of("humanevalfixtests-python", n_samples=4, limit=1, stop=Stop.NEVER, **lengths)
    task = get_task("humanevalfixtests-python")
    ended, full = answers(causal, early, HOT), answers(causal, whole, HOT)
    assert {each.finish for each in ended.values()} <= {Finish.COMPLETE, Finish.END}
    assert sum(each.tokens or 0 for each in ended.values()) < sum(each.tokens or 0 for each in full.values()) / 2
    for key, each in ended.items():
        problem = each.request.problem
        assert full[key].text.startswith(each.text.rstrip("\ufffd"))
        assert task.solution(problem, each.text) == task.solution(problem, full[key].text)


def test_lengths_are_kept(causal: Path) -> None:
    requests = requests_of("humanevalfixtests-python", n_samples=2, stop=Stop.NEVER, max_length=4096, max_new_tokens=7)
    assert {each.tokens for each in answers(causal, requests, HOT).values() if each.finish is Finish.LENGTH} == {7}
    (request,) = requests_of("humanevalfixtests-python", stop=Stop.NEVER, limit=1)
    with open_backend("transformers", str(causal)) as backend:
        prompt = backend.prompt_tokens(request)
        assert prompt == len(request.prompt.text.encode())
        assert backend.context_length == 4096
        assert request.room(prompt, backend.context_length) == 2048 - prompt


def test_greedy_takes_the_likeliest_token(causal: Path) -> None:
    (request,) = requests_of("humanevalfixdocs-go", stop=Stop.NEVER, limit=1, max_length=4096, max_new_tokens=5)
    (greedy,) = answers(causal, [request], Sampling(temperature=0)).values()
    (nucleus,) = answers(causal, [request], Sampling(temperature=1, top_p=1e-9)).values()
    (only,) = answers(causal, [request], Sampling(temperature=1, top_k=1)).values()
    tokenizer = transformers.AutoTokenizer.from_pretrained(causal)
    model = transformers.AutoModelForCausalLM.from_pretrained(causal)
    inputs = tokenizer(request.prompt.text, return_tensors="pt")
    expected = model.generate(**inputs, max_new_tokens=5, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert greedy.text == nucleus.text == only.text == tokenizer.decode(expected)


def test_draws_have_the_probabilities_of_the_model() -> None:
    from octopack_tasks.generation.transformers import _Draw

    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    scores = (probabilities.log() * 2).repeat(4000, 1)  # halved again by the temperature
    draw = _Draw(Sampling(temperature=2.0, top_p=0.9), list(range(4000)))
    counts = Counter(draw(None, scores).argmax(-1).tolist())
    assert counts[3] == 0  # the first three have reached top_p
    for token in range(3):
        assert counts[token] / 4000 == pytest.approx(float(probabilities[token]) / 0.95, abs=0.03)


def test_an_encoder_decoder_model_is_given_both_prompts(encoder_decoder: Path) -> None:
    name = "humanevalsynthesize-python"
    requests = requests_of(name, "instructcodet5p", n_samples=2, limit=2, max_length=4096, max_new_tokens=6)
    alone = answers(encoder_decoder, requests, HOT, batch_size=1)
    together = answers(encoder_decoder, requests, HOT, batch_size=3)
    assert {key: each.text for key, each in alone.items()} == {key: each.text for key, each in together.items()}
    with pytest.raises(UserError, match="has no encoder prompt"):
        answers(encoder_decoder, requests_of("humanevalfixtests-python", "instructcodet5p"))
    with pytest.raises(UserError, match="need --prompt instructcodet5p"):
        answers(encoder_decoder, requests_of(name, "instruct"))


@pytest.mark.parametrize("backend", ["vllm", "transformers"])
@pytest.mark.parametrize("model", ["/no/such/model", "./model", "~/no-such-model", "some/folder/model"])
def test_a_folder_that_does_not_exist(backend: str, model: str) -> None:
    with pytest.raises(UserError, match=f"there is no model in {re.escape(model)}"):
        open_backend(backend, model)


def test_a_model_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="could not load"):
        open_backend("transformers", str(tmp_path))


def test_a_chat_needs_a_template(causal: Path) -> None:
    with pytest.raises(UserError, match="no chat template"):
        answers(causal, requests_of("humanevalfixtests-python", "chat"))
