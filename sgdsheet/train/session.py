"""Training as a generator of steps. It never sees a host."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any

import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.proof import required
from sgdsheet.data.distributed import leave
from sgdsheet.errors import SettingError, SgdSheetError, TrainingError, quoted
from sgdsheet.problem.settings import Settings, combine
from sgdsheet.problem.source_names import split_origin
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value, Workbook
from sgdsheet.train.convergence import Verdict
from sgdsheet.train.descent import Descent
from sgdsheet.train.discrete.looks import OUT_OF_TIME
from sgdsheet.train.drivers import (
    constrained,
    constrained_restarts,
    descend,
    descent_for,
    fit,
    rehearse,
    restarts,
    searched,
)
from sgdsheet.train.restarts import Distribution, draw_start
from sgdsheet.train.run import CONVERGED, EARLY, STEPS, Run, Step
from sgdsheet.train.run_plan import RunPlan
from sgdsheet.train.solution import Solution
from sgdsheet.train.tensors import copies, put
from sgdsheet.train.thread_count import ThreadCount

_SMALL_MODEL = 2_000_000
"""Numbers read per step below which one thread is fastest."""

_PER_THREAD = 1_000_000
"""Intermediate numbers per step that are worth a thread."""

_SOON = 0.15
"""Seconds that calculating the final loss may take where somebody waits for the end."""

_IN_WORDS = {STEPS: "steps used up", EARLY: "stopped early", OUT_OF_TIME: "time limit"}


class Session:
    """Trains a model: iterate over it to take steps.

    Keyword arguments are settings as in `sgd_settings` (learning_rate, also as `lr`, steps, seed, …); the
    sheet's own settings fill the gaps. When the iteration ends, for whatever reason, the parameters are the
    best that were seen (with batches: the last, unless early stopping asks for the best on the validation
    rows), and never worse than those at the start. `measure_gradient` adds the gradient's length to each
    step. Before the first step, every cell on the way is compared with what the workbook holds (`workbook`, if it
    was read again since the model was compiled from it); `proof` is what came of it.

    Raises SettingError for settings that do not go together, ProofError if the workbook holds other values than
    its formulas give (unless the setting trust_formulas says to go on), DataError if the loss is not finite at
    the start.
    """

    def __init__(
        self,
        model: SheetModel,
        settings: Settings | None = None,
        *,
        measure_gradient: bool = False,
        workbook: Workbook | None = None,
        **options: Any,
    ) -> None:
        if "lr" in options and "learning_rate" in options:
            raise SettingError("lr and learning_rate are the same", remedy="Give one of them")
        if "lr" in options:
            options["learning_rate"] = options.pop("lr")
        self.model = model
        self.settings = settings if settings is not None else combine(model.problem.settings, options)
        self.measure_gradient = measure_gradient
        self._run = Run(model, self.settings)
        self.proof = required(model, trust=self.settings.trust_formulas, workbook=workbook)
        self.loss_start = self.loss = self._run.whole_loss()
        if not math.isfinite(self.loss_start):
            bound = self._run.bound
            raise model.explain_bad_loss() if bound is None else bound.explain_bad_loss(model)
        self.seconds = 0.0
        self.learning_rate = self.plan.learning_rate
        """The learning rate of the last step."""
        self._descent: Descent | None = None
        self._resumed: dict[str, Any] | None = None
        self._start_drawn = False
        self._waits_for_end = True
        self.threads = ThreadCount(1)
        """The threads of the next step of an iteration."""
        self.left = 0
        """Processors that a step leaves to other programs, if it is no slower then."""
        self.loss_of_batch = False
        """Whether `loss` is that of the last batch, before its step; see `end_soon`."""

    # --- what is known ----------------------------------------------------------------------------------

    @property
    def plan(self) -> RunPlan:
        """The choices that were made for the run."""
        return self._run.plan

    @property
    def steps_taken(self) -> int:
        return self._run.steps_taken

    @property
    def epochs_done(self) -> int | None:
        """Finished passes over the samples; None where the sheet names none."""
        return self._run.epochs_done if self._run.samples is not None else None

    @property
    def stopped(self) -> str:
        """How the run ended, in a word: converged, stalled, steps (all were used up), diverged, early (validation
        got no better), no finite optimum (the loss gets better for ever), optimal (which is proved), best found
        (which is not) or time (the limit was reached); empty while it has not."""
        return self._run.stopped

    @property
    def reason(self) -> str:
        """Why the run stalled, or where it diverged, in words; empty where there is nothing to say."""
        return self._run.reason

    @property
    def ending(self) -> str:
        """How the run ended, and why, in words; empty before that."""
        how, why = _IN_WORDS.get(self.stopped, self.stopped), self.reason
        return f"{how}: {why}" if how and why else how

    @property
    def loss_last(self) -> float:
        """The value of the loss cell after the last step, while `loss` is that of the parameters that were kept."""
        last = self._run.loss_last
        return self.loss if last is None else last

    @property
    def best_step(self) -> int:
        """The number of steps after which the parameters that were kept were found; 0 for those at the start."""
        return self._run.best_step

    @property
    def valid_last(self) -> float | None:
        """The validation loss after the last step; None if it was not calculated there."""
        return self.valid_loss if self.best_step == self.steps_taken else self._run.looked_last[0]

    @property
    def metric_last(self) -> float | None:
        """The metric over the validation rows after the last step; None if it was not calculated there."""
        return self.valid_metric if self.best_step == self.steps_taken else self._run.looked_last[1]

    @property
    def overfitting(self) -> str:
        """A sentence if the validation loss rose while the training loss fell; empty text if not."""
        step = self._run.validation_curve.rose_after()
        if step is None:
            return ""
        advice = ": early stopping keeps the best parameters" if self.settings.early_stopping is None else ""
        return f"validation loss rose after step {step:,}: overfitting{advice}"

    @property
    def valid_loss(self) -> float | None:
        """The loss over the validation rows."""
        return self._run.valid_loss

    @property
    def valid_metric(self) -> float | None:
        """The metric over the validation rows."""
        return self._run.valid_metric

    @property
    def source(self) -> str | None:
        """The file or dataset that the model is trained on, and which of its samples; None if they are in the sheet."""
        origin = self.model.problem.origin
        if self._run.bound is None or origin is None:
            return None
        return self._run.bound.data.name + split_origin(origin)[1]

    @property
    def sample_count(self) -> int | None:
        """How many samples are for training; None where the sheet names none."""
        return len(self._run.samples.training) if self._run.samples is not None else None

    @property
    def loss_samples(self) -> int | None:
        """How many samples `loss_start` and `loss` are over: not all where a source has very many."""
        bound = self._run.bound
        return self.sample_count if bound is None else len(bound.judged_samples)

    @property
    def test_loss(self) -> float | None:
        """The loss over the test part of a source, after the run."""
        return self._run.test_loss

    @property
    def test_metric(self) -> float | None:
        """The metric over the test part of a source, after the run."""
        return self._run.test_metric

    @property
    def violation(self) -> float | None:
        """How much the constraint is violated that is violated most, in the sheet's units; None without constraints."""
        return self._run.violation

    @property
    def loss_bound(self) -> float | None:
        """What is proved to be the best possible loss, or better than that; None where no search has found any."""
        return self._run.loss_bound

    @property
    def constraints_hold(self) -> bool:
        """Whether no constraint is violated by more than a millionth, relative to its numbers."""
        return self._run.constraints_hold

    @property
    def distribution(self) -> Distribution | None:
        """The objectives at which the restarts ended; None without restarts."""
        return self._run.distribution

    def preview(self) -> dict[Cell, Value]:
        """The first training samples of a source, in the cells that show samples; nothing without a source."""
        return self._run.bound.preview() if self._run.bound is not None else {}

    def leave(self) -> None:
        """Part from the other processes, where torchrun started several."""
        leave()

    def solution(self) -> Solution:
        """The parameters as they are now, to be looked at by those who report on them."""
        run, plan = self._run, self.plan
        partial = plan.batched or run.bound is not None
        known = Verdict(True) if run.stopped == CONVERGED else Verdict(False, run.reason) if partial else None
        return Solution(
            self.model,
            self.model.program if partial else run.module(),
            run.names,
            run.parameters,
            run.start,
            run.constraints,
            lambda: known or run.judged(),
            plan.optimizer_name,
            self.loss_start,
            self.loss,
            self.steps_taken,
            self.seconds,
            self.ending,
            partial,
        )

    # --- the loop ---------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Step]:
        count = self._thread_count()
        self.threads = ThreadCount(count, self.left if count == torch.get_num_threads() else 0)
        solved = bool(self.plan.solved or self.plan.fitted or self.plan.search is not None)
        polished = self.settings.restarts is not None
        solving = solved or (polished and self._run.fit is not None)
        limit = self.settings.time_limit or math.inf
        blas = _blas_threads(count, solving=solving) if solved or polished else nullcontext()
        last = math.nan
        try:
            # The driver is closed before the final loss is calculated.
            with blas, closing(self._driver()) as steps:
                while (step := _next_step(steps, self.threads.now)) is not None:
                    self.threads.took(step.seconds)
                    self.seconds += step.seconds
                    last = step.loss
                    self.learning_rate = step.learning_rate
                    yield step
                    if self.seconds >= limit and not self.stopped and self.plan.search is None:
                        self._run.end(OUT_OF_TIME, f"after {limit:g} seconds")
                        break
        finally:
            self.loss_of_batch = not self._waits_for_end and self._is_long_judged and math.isfinite(last)
            self.loss = last if self.loss_of_batch else self._run.final_loss()
            self._run.conclude(self.loss_start, self.loss)

    def end_soon(self) -> None:
        """Have the iteration end without delay, when it is closed: somebody has stopped it and waits.

        The loss over all of a large source takes seconds; `loss` is then that of the last batch, and validation and
        test are left out. What is fast to calculate is calculated all the same.
        """
        self._waits_for_end = False

    def run(self) -> float:
        """Take all steps; returns the final value of the loss cell."""
        for _ in self:
            pass
        return self.loss

    def _driver(self) -> Generator[Step, None, None]:
        run, settings = self._run, self.settings
        if run.plan.search is not None:
            return searched(run)
        labels = run.constraints is not None and run.constraints.labels
        if settings.restarts and (labels or run.kinks is not None):
            return constrained_restarts(run)
        if settings.restarts:
            return restarts(run)
        if settings.start and not self._start_drawn:
            self._start_drawn = True
            put(run.parameters, draw_start(run.parameters, settings.start, run.generator))
        if run.plan.solved:
            return constrained(run, run.plan.steps)
        if run.plan.fitted:
            return fit(run, measure=self.measure_gradient)
        self._descent = descent_for(run)
        if self._resumed is None:
            return descend(run, self._descent, measure=self.measure_gradient)
        self._descent.restore(self._resumed)
        return self._watched(descend(run, self._descent, measure=self.measure_gradient))

    def _watched(self, steps: Generator[Step, None, None]) -> Generator[Step, None, None]:
        """The steps of a resumed run: what torch raises there comes from a state that only looked sound."""
        try:
            with closing(steps):
                yield from steps
        except SgdSheetError:
            raise
        except Exception as error:
            raise _damaged() from error

    @property
    def _is_long_judged(self) -> bool:
        """Whether the loss of the parameters that were kept, the last ones, takes long: by the time of the steps."""
        run, size = self._run, self.plan.batch_size
        if run.bound is None or size is None or self.settings.early_stopping is not None or run.loss_last is not None:
            return False
        batches = len(run.bound.judged_samples) / size
        return run.steps_taken > 0 and batches * self.seconds / run.steps_taken > _SOON

    def _thread_count(self) -> int:
        bound = self._run.bound
        if bound is not None:
            numbers = bound.numbers(self.plan.batch_size or 1)
            return max(1, min(torch.get_num_threads(), numbers // _PER_THREAD))
        return 1 if self.model.numbers_read() < _SMALL_MODEL else torch.get_num_threads()

    # --- checkpoints ------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that is needed to go on later; see `restore`. To be called between steps."""
        run = self._run
        latest = copies(run.parameters) if run.last is None else run.last
        return {
            "loss_cell": str(self.model.problem.loss),
            "optimizer": run.plan.optimizer.name,
            "steps": run.steps_taken,
            "epochs": run.epochs_done,
            "parameters": dict(zip(run.names, latest, strict=True)),
            "best": copies(run.best),
            "best_objective": run.best_objective,
            "best_step": run.best_step,
            "patience": [run.patience.best, run.patience.waited],
            "generator": run.epoch_state,
            "batches": run.batches_done,
            "method": self._descent.state() if self._descent is not None else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where another session of the same model stood. Raises TrainingError if it does not fit."""
        run = self._run
        self._refuse_foreign(state)
        try:
            objective, best_step = float(state["best_objective"]), int(state.get("best_step", 0))
            patience, waited = float(state["patience"][0]), int(state["patience"][1])
            batches, steps, epochs = (max(0, int(state[key])) for key in ("batches", "steps", "epochs"))
            if [tensor.shape for tensor in state["best"]] != [own.shape for own in run.parameters]:
                raise ValueError("best")
            torch.Generator().set_state(state["generator"])
            if state["method"] is not None:
                rehearse(run, state["method"], step=steps < run.plan.steps)
        except Exception:  # nobody can list what torch raises for a damaged state
            raise _damaged() from None
        put(run.parameters, [state["parameters"][name] for name in run.names])
        put(run.best, state["best"])
        run.last = None
        run.best_objective, run.best_step = objective, best_step
        run.patience.best, run.patience.waited = patience, waited
        run.generator.set_state(state["generator"])
        run.batches_done, run.steps_taken, run.epochs_done = batches, steps, epochs
        self._resumed = state["method"]
        self._start_drawn = True

    def _refuse_foreign(self, state: dict[str, Any]) -> None:
        run, parameters = self._run, state.get("parameters")
        if self.settings.restarts:
            raise TrainingError(
                "restarts cannot be resumed",
                remedy="Leave them out to go on from the checkpoint's parameters",
            )
        own = dict(zip(run.names, (item.shape for item in run.parameters), strict=True))
        fits = (
            isinstance(parameters, dict)
            and {name: getattr(value, "shape", None) for name, value in parameters.items()} == own
        )
        if not fits or state.get("loss_cell") != str(self.model.problem.loss):
            raise TrainingError(
                f"the checkpoint belongs to another model (loss {quoted(str(state.get('loss_cell')))})",
                remedy="Resume it on the workbook and sheet that it was made from",
            )
        if state.get("method") is not None and state.get("optimizer") != run.plan.optimizer.name:
            raise TrainingError(
                f"the checkpoint was made with the optimizer {quoted(str(state.get('optimizer')))}",
                remedy="Resume it with --optimizer and that name",
            )


def _damaged() -> TrainingError:
    return TrainingError("the checkpoint is damaged", remedy="Start afresh")


def _next_step(steps: Iterator[Step], count: int) -> Step | None:
    """Take a step with so many threads, and give the caller's own number back between steps."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return next(steps, None)
    finally:
        torch.set_num_threads(before)


def _blas_threads(count: int, *, solving: bool) -> AbstractContextManager[object]:
    if solving:
        scipy.linalg.blas  # noqa: B018  # loads its BLAS: one that is loaded later would have all threads
    limits: AbstractContextManager[object] = threadpool_limits(count, user_api="blas")
    return limits


@contextmanager
def threads(count: int, *, solving: bool = False) -> Iterator[None]:
    """A context in which torch uses so many threads: two on a small model can be 100 times slower than one.

    NumPy's BLAS has as many, and SciPy's, too, if it is loaded; where SciPy will be `solving`, it is loaded first.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with _blas_threads(count, solving=solving):
            yield
    finally:
        torch.set_num_threads(before)
