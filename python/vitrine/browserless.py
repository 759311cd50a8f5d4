"""What packages of the distribution expect of a browser, and do not find here.

They take ``sys.platform == "emscripten"`` for a JavaScript engine behind the interpreter. There is
none, and no module ``js``. The few modules that would import it are replaced when a package asks
for them, so that the package loads and its network calls fail as they do on a machine without a
network.
"""

from vitrine import BUILTINS

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def fill(module: "ModuleType") -> None:
    """Put into a module what takes the place of its contents."""
    if module.__name__.startswith("httpx."):
        _fill_httpx(module)
    else:
        _fill_urllib3(module)


def _fill_urllib3(module: "ModuleType") -> None:
    """Leave urllib3 its ordinary connections; their sockets are refused."""

    def inject_into_urllib3() -> None:
        pass

    module.inject_into_urllib3 = inject_into_urllib3


def _fill_httpx(module: "ModuleType") -> None:
    """Give httpx, in the distribution's edition, transports that find no network."""
    from httpx._exceptions import ConnectError
    from httpx._transports.base import AsyncBaseTransport, BaseTransport

    message = "[Errno 101] Network is unreachable"

    class JavascriptFetchTransport(BaseTransport):
        def __init__(self, *args: object, **options: object) -> None:
            pass

        def handle_request(self, request: object) -> object:
            raise ConnectError(message, request=request)

    class AsyncJavascriptFetchTransport(AsyncBaseTransport):
        def __init__(self, *args: object, **options: object) -> None:
            pass

        async def handle_async_request(self, request: object) -> object:
            raise ConnectError(message, request=request)

    for transport in (JavascriptFetchTransport, AsyncJavascriptFetchTransport):
        transport.__module__ = module.__name__
        transport.__qualname__ = transport.__name__
        setattr(module, transport.__name__, transport)
    module.__all__ = ["AsyncJavascriptFetchTransport", "JavascriptFetchTransport"]


def patch_threadpoolctl(threadpoolctl: "ModuleType") -> None:
    """Spare programs a warning: neither a browser nor the C library lists what is loaded."""
    controller = getattr(threadpoolctl, "ThreadpoolController", None)
    for name in ("_find_libraries_pyodide", "_find_libraries_with_dl_iterate_phdr"):
        if hasattr(controller, name):
            setattr(controller, name, lambda self: None)
