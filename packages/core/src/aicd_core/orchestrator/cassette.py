"""A job's journal as a file: JSON Lines, made the same from the same journal, and played like the journal itself.

The first line says what follows: format, version, the job, and what its steps go by. Then come the results and the
calls, in the order in which they were kept, and last a line that counts them. Of a request a line holds what is new:
how many characters it begins and ends with like the request before it of the same step and model, and what stands
between. Texts are masked.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from aicd_core.contracts import ModelReply, ModelRequest
from aicd_core.contracts.values import Value
from aicd_core.ids import JobId, OrgId, RepositoryId
from aicd_core.jobs.machine import JobStatus
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.journal.values import Call
from aicd_core.orchestrator.cassette_format import (
    MOST_TEXT,
    RESULTS,
    Difference,
    End,
    Head,
    RecordedCall,
    RecordedJob,
    RecordedResult,
    bad_line,
    bytes_of,
    line_of,
    read_lines,
    written,
)
from aicd_core.orchestrator.records import ValueT
from aicd_core.orchestrator.redaction import Redaction
from aicd_core.policy import Rules


class CassetteWriter:
    """Makes the lines of a cassette, each with its line feed."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._before: dict[tuple[str, str], str] = {}
        self._results = self._calls = 0

    def head(self, job: JobView, rules: Rules, returned: Sequence[str | None]) -> str:
        texts = self._redaction
        counts = ("state", "round", "plan_attempts", "feedback_rounds", "first_round")
        status = {name: getattr(job.status, name) for name in counts}
        told = RecordedJob(
            id=job.id,
            agent=job.agent,
            title=texts.text(job.title),
            body=texts.text(job.body),
            base_branch=job.base_branch,
            base_sha=job.base_sha,
            **status,
        )
        said = tuple(texts.text(comment) if comment is not None else None for comment in returned)
        return line_of(head=Head(job=told, rules=rules, returned=said, redact_patterns=texts.patterns))

    def result(self, kind: ArtifactKind, number: int, content: bytes) -> str:
        self._results += 1
        value = self._redaction.value(RESULTS[kind].model_validate_json(content))
        return line_of(result=RecordedResult(kind=kind, number=number, value=value.model_dump(mode="json")))

    def call(self, step: str, number: int, request: ModelRequest, reply: ModelReply) -> str:
        self._calls += 1
        at = (step, request.model)
        asked, asked_latin1 = written(self._redaction.bytes(request.content))
        told, told_latin1 = written(self._redaction.bytes(reply.content))
        new, self._before[at] = Difference.between(self._before.get(at, ""), asked), asked
        return line_of(
            call=RecordedCall(
                step=step,
                number=number,
                model=request.model,
                usage=reply.usage,
                request=new,
                request_latin1=asked_latin1,
                reply=told,
                reply_latin1=told_latin1,
            )
        )

    def end(self) -> str:
        return line_of(end=End(results=self._results, calls=self._calls))


class Cassette:
    """A `Recording` out of a file.

    What is asked of it is masked before it is compared, by `redaction`: the same rules as those of the file's maker
    make the same requests of the same texts.
    """

    def __init__(self, head: Head, redaction: Redaction) -> None:
        self._head = head
        self._redaction = redaction
        self._results: dict[ArtifactKind, dict[int, bytes]] = {kind: {} for kind in RESULTS}
        self._calls: dict[tuple[str, int], list[tuple[ModelRequest, ModelReply]]] = {}
        self._before: dict[tuple[str, str], str] = {}
        self._characters = 0

    def add(self, line: Mapping[str, Value]) -> None:
        """Takes a line in, after those before it.

        Raises:
            ValueError: it is no result or call that there can be.
        """
        match line:
            case {"result": RecordedResult() as one}:
                if one.kind not in RESULTS:
                    raise ValueError(f"a cassette holds no {one.kind.value}")
                content = RESULTS[one.kind].model_validate(one.value).model_dump_json().encode()
                self._results[one.kind][one.number] = content
            case {"call": RecordedCall() as call}:
                at = (call.step, call.model)
                asked = self._before[at] = call.request.applied(self._before.get(at, ""))
                self._characters += len(asked)
                if self._characters > MOST_TEXT:
                    raise ValueError(f"its requests have more than {MOST_TEXT:,} characters together")
                content = self._redaction.bytes(bytes_of(asked, latin1=call.request_latin1))
                reply = ModelReply(content=bytes_of(call.reply, latin1=call.reply_latin1), usage=call.usage)
                kept = (ModelRequest(model=call.model, content=content), reply)
                self._calls.setdefault((call.step, call.number), []).append(kept)

    @property
    def job(self) -> JobView:
        told, nowhere = self._head.job, datetime.fromtimestamp(0, UTC)
        return JobView(
            id=JobId(told.id),
            org_id=OrgId(told.id),  # whoever's it was: only the place of what agents keep between steps depends on them
            repository_id=RepositoryId(told.id),
            status=JobStatus(
                told.state,
                told.round,
                told.plan_attempts,
                feedback_rounds=told.feedback_rounds,
                first_round=told.first_round,
            ),
            version=0,
            agent=told.agent,
            title=told.title,
            body=told.body,
            base_branch=told.base_branch,
            base_sha=told.base_sha,
            code=None,
            reason=None,
            seconds_worked=0.0,
            time_limit=0.0,
            lease_owner=None,
            lease_until=None,
            priority=0,
            not_before=None,
            cost_limit=None,
            issue_number=None,
            created_at=nowhere,
            updated_at=nowhere,
        )

    async def results(self, kind: ArtifactKind) -> Sequence[tuple[int, bytes]]:
        return sorted(self._results[kind].items())

    async def load(self, kind: ArtifactKind, model: type[ValueT], number: int) -> ValueT | None:
        content = self._results[kind].get(number)
        return None if content is None else model.model_validate_json(content)

    async def comments(self, attempt: int) -> tuple[str, ...]:
        return tuple(comment for comment in self._head.returned[:attempt] if comment is not None)

    async def organization_rules(self) -> Rules:
        return self._head.rules

    async def find_reply(self, call: Call) -> ModelReply | None:
        asked = self.masked_request(call.request)
        known = self._calls.get((call.step, call.number), ())
        return next((reply for request, reply in known if request == asked), None)

    async def find_request(self, call: Call) -> ModelRequest | None:
        known = self._calls.get((call.step, call.number))
        return known[0][0] if known else None

    def masked(self, value: ValueT) -> ValueT:
        return self._redaction.value(value)

    def masked_request(self, request: ModelRequest) -> ModelRequest:
        return ModelRequest(model=request.model, content=self._redaction.bytes(request.content))


def read_cassette(content: bytes, name: str, redaction: Callable[[tuple[str, ...]], Redaction]) -> Cassette:
    """The cassette of a file.

    Args:
        name: what the file is called in errors.
        redaction: what is masked, given the patterns that the file's maker had masked besides the known formats.

    Raises:
        InvalidInputError: code `bad_cassette`: it is none, of a newer version, or cut off; the line is named.
    """
    head, lines = read_lines(content, name)
    cassette = Cassette(head, redaction(head.redact_patterns))
    for number, line in enumerate(lines, 1):
        try:
            cassette.add(line)
        except ValueError as error:
            raise bad_line(name, number, error) from error
    return cassette
