"""The controls behind the most important rows, each as one change of the product that switches it off."""

from typing import NamedTuple


class Control(NamedTuple):
    """In `file`, `old` (which stands there once) is what keeps the promise; `new` switches it off; `test` must fail."""

    row: str
    what: str
    file: str
    old: str
    new: str
    test: str


CONTROLS = [
    Control(
        "log.full",
        "what could not be written is not answered",
        "pdp/audit/log.py",
        'entry.future.set_exception(Unrecorded(f"The log {self.directory} was not written: {error}"))',
        "entry.future.set_result(Receipt(entry.after.origin, entry.after.index - 1, entry.after.digest))",
        "tests/flow/test_broken_log.py::test_on_a_full_disk_every_call_is_503_until_there_is_room",
    ),
    Control(
        "log.fsync",
        "what changes the world is on the disk first",
        "pdp/audit/shard.py",
        "os.fdatasync(self._open_fd())",
        "self._open_fd()",
        "tests/flow/test_broken_log.py::test_a_disk_that_does_not_keep_what_it_took_answers_no_call_that_changes_the_world",
    ),
    Control(
        "log.replaced",
        "the file is still ours after every write",
        "pdp/audit/shard.py",
        "self._check_still_ours(self._size + len(data))",
        "pass",
        "tests/flow/test_broken_log.py::"
        "test_a_log_file_that_somebody_else_writes_is_refused_and_the_next_call_says_what_is_missing",
    ),
    Control(
        "log.torn",
        "a torn line is cut off before the next one is written",
        "pdp/audit/shard.py",
        "if line_ends < self._size:",
        "if False:",
        "tests/contracts/test_log.py::test_half_a_line_is_cut_off_and_the_cut_is_recorded",
    ),
    Control(
        "service.second",
        "a log has one writer",
        "pdp/audit/shard.py",
        "fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        "tests/contracts/test_log.py::test_a_second_writer_of_the_same_directory_is_refused",
    ),
    Control(
        "opa.wrong_revision",
        "the verdict is of the policy that was asked",
        "pdp/decide.py",
        "if reply.revision != pack.revision:",
        "if False:",
        "tests/flow/test_faults.py::test_an_engine_that_says_anything_but_a_verdict_is_a_recorded_deny",
    ),
    Control(
        "opa.extra_key",
        "the schema of the verdict is closed",
        "pdp/decide.py",
        "class Reply(Struct, frozen=True, forbid_unknown_fields=True):",
        "class Reply(Struct, frozen=True):",
        "tests/flow/test_faults.py::test_an_engine_that_says_anything_but_a_verdict_is_a_recorded_deny",
    ),
    Control(
        "store.gone",
        "facts that could not be followed decide nothing",
        "pdp/store/follow.py",
        "if self._good_from <= now <= self._good_until and self._followed_at is not None:",
        "if self._followed_at is not None:",
        "tests/flow/test_faults.py::"
        "test_when_the_store_goes_away_calls_are_denied_once_facts_are_too_old_and_keys_later_admit_nobody",
    ),
    Control(
        "store.locked",
        "nobody waits for a database that does not let go",
        "pdp/flow.py",
        "return await world.deadlines.keep(when, settling)",
        "return await settling",
        "tests/flow/test_broken_store.py::"
        "test_while_another_writes_reads_go_on_and_what_must_write_is_a_recorded_deny_in_time",
    ),
    Control(
        "deadline.identify",
        "one deadline for all of judging",
        "pdp/flow.py",
        "with defended(case, world.deadlines.at(case.deadline)):",
        "with defended(case):",
        "tests/flow/test_broken_store.py::test_a_slow_store_makes_strangers_late_and_goes_stale_and_comes_back",
    ),
    Control(
        "keys.gone",
        "keys that nobody confirmed for a day are no keys",
        "pdp/identity/keys.py",
        "return known if known is not None and known.age_s(self._now()) <= MAX_AGE_S else None",
        "return known",
        "tests/flow/test_keys_gone.py::test_an_issuer_that_is_away_for_more_than_a_day_denies_on_record_until_it_is_back",
    ),
    Control(
        "clock.back",
        "a proof that may have been forgotten is refused",
        "pdp/identity/replays.py",
        "if proof.issued_at <= self._forgotten:",
        "if False:",
        "tests/attacks/test_stolen_tokens.py::"
        "test_a_clock_that_jumps_forward_and_back_lets_no_proof_be_used_for_a_second_call",
    ),
    Control(
        "fault.unforeseen",
        "whatever nobody foresaw is a deny",
        "pdp/flow.py",
        'raise Refused("fault") from None',
        "raise",
        "tests/flow/test_faults.py::test_whatever_else_goes_wrong_is_a_recorded_deny",
    ),
]
