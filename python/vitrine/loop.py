"""An event loop without sockets, and the run of a program that awaits at its top level.

asyncio wakes its loop through a pair of sockets, which the guest does not have. With one thread
only a signal handler can have something to say to a loop that sleeps, so it is woken by an
exception that the handler raises. Threads cannot start either: what asyncio would hand to one
runs in place.
"""

import asyncio.base_events
import asyncio.events
import asyncio.selector_events
import selectors
import signal
from concurrent.futures import ThreadPoolExecutor
from time import sleep as _sleep

from vitrine import BUILTINS, execute

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from concurrent.futures import Executor
    from types import CodeType, FrameType, ModuleType

_SLEEP_S_MAX = 3600.0


class _WokenError(Exception):
    """Raised by a signal handler to end a loop's sleep."""


class _Selector(getattr(selectors, "PollSelector", selectors.SelectSelector)):
    """Waits for files as ever, and sleeps where there are none."""

    asleep = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        try:
            self.asleep = True
            try:
                if self.get_map():
                    return super().select(timeout)
                if timeout is None or timeout > 0:
                    _sleep(_SLEEP_S_MAX if timeout is None else min(timeout, _SLEEP_S_MAX))
                return []
            finally:
                self.asleep = False
        except _WokenError:
            return []


def _make_loop_class(base: type) -> type:
    """Derive our loop from the platform's own, so that every other feature stays as it is."""

    class EventLoop(base):
        __doc__ = base.__doc__

        def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
            super().__init__(_Selector() if selector is None else selector)

        def _make_self_pipe(self) -> None:
            pass

        def _close_self_pipe(self) -> None:
            pass

        def _write_to_self(self) -> None:
            if getattr(self._selector, "asleep", False):
                self._selector.asleep = False
                raise _WokenError

        def add_signal_handler(self, sig: int, callback: "Callable", *args: object) -> None:
            self._check_signal(sig)
            self._check_closed()
            handle = asyncio.events.Handle(callback, args, self, None)
            self._signal_handlers[sig] = handle
            signal.signal(sig, self._on_signal)

        def _on_signal(self, sig: int, _frame: "FrameType | None") -> None:
            self._handle_signal(sig)

        def run_in_executor(
            self, executor: "Executor | None", func: "Callable", *args: object
        ) -> "Future":
            if executor is not None and not isinstance(executor, ThreadPoolExecutor):
                return super().run_in_executor(executor, func, *args)
            self._check_closed()
            future = self.create_future()
            try:
                future.set_result(func(*args))
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # the future carries it, as a thread's
                future.set_exception(error)
            return future

    EventLoop.__module__ = base.__module__
    EventLoop.__name__ = EventLoop.__qualname__ = base.__name__
    return EventLoop


def install(unix_events: "ModuleType") -> None:
    """Make our loop the default, in the module that defines it, before anything refers to it."""
    loop_class = _make_loop_class(unix_events.SelectorEventLoop)
    for name, value in list(vars(unix_events).items()):
        if value is loop_class.__base__:
            setattr(unix_events, name, loop_class)
        elif isinstance(value, type) and "_loop_factory" in vars(value):
            value._loop_factory = loop_class


def run_program(codes: "list[CodeType]", space: dict[str, object]) -> object:
    """Run code objects, one after another, in one task of a new loop; gives the last's value.

    As with ``asyncio.run``, tasks that are left are cancelled at the end.
    """
    with asyncio.Runner() as runner:
        return runner.run(_main(codes, space))


async def _main(codes: "list[CodeType]", space: dict[str, object]) -> object:
    value = None
    for code in codes:
        value = eval(code, space)
        if execute.is_coroutine(code):
            value = await value
    return value


_runner: asyncio.Runner | None = None


def run_call(codes: "list[CodeType]", space: dict[str, object]) -> object:
    """Do the same in the loop of a session: tasks that are left wait there for the next time."""
    global _runner
    if _runner is None or _runner.get_loop().is_closed():
        _runner = asyncio.Runner()
    return _runner.run(_main(codes, space))
