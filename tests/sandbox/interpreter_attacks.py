"""Programs that try to pass without being right, aimed at what the program's own interpreter shares with our code in it.

As in `attacks`, each is to complete `f(x)`, whose tests ask for x * 7 + 1, and none does. Kinds: the module `__main__`, hooks
of the interpreter, what is imported late, the time that messages are granted, iterators that are fetched ahead, arguments
and arrays, reductions, sizes.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.sandbox.attacks import FIND_SOCKET, WRONG

_FORGE = """
def _forge():
    for n in range(2, 60):
        try: _send(_fd(), ["ok", n, 8, None])
        except BaseException: return
"""
_STACK = """
import sys
def _stack():
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back
def _in_tests(): return any(fr.f_code.co_filename == "<tests>" for fr in _stack())
"""

MAIN = {
    "main module with equal-to-everything globals": "import sys\nm = sys.modules['__main__']\nm.f = lambda x: x\nm.__eq__ = lambda *a: True\n"
    + WRONG,
    "main module replaced by an object": "import sys\nclass M:\n    def __getattr__(self, n): return lambda *a: True\nsys.modules['__main__'] = M()\n"
    + WRONG,
    "main module removed": "import sys\ndel sys.modules['__main__']\n" + WRONG,
    "class of the main module changed": "import sys, types\nclass M(types.ModuleType):\n    @property\n    def f(self): return lambda x: x * 7 + 1\n    @property\n    def __dict__(self): return {'f': abs}\nsys.modules['__main__'].__class__ = M\n"
    + WRONG,
    "names of the tests set in main": "import __main__\n__main__.check = lambda c: None\n__main__.candidate = __main__.a = abs\n"
    + WRONG,
    "main's builtins are a lie": "import __main__, builtins\nclass B(dict):\n    def __missing__(self, k): return lambda *a, **k: True\n__main__.__builtins__ = B(vars(builtins))\n"
    + WRONG,
    "main's name is another": "__name__ = 'program'\n__file__ = '/etc/passwd'\n__spec__ = None\n__loader__ = object()\n"
    + WRONG,
    "globals cleared": WRONG + "globals().clear()\n",
    "globals cleared in the call": "def f(x):\n    globals().clear()\n    return 0\n",
    "getattr of the module": "def __getattr__(name): return lambda *a: True\n",
    "function whose code is swapped when the tests are near": _STACK
    + "def g(x): return x * 7 + 1\ndef f(x):\n    if _in_tests(): f.__code__ = g.__code__\n    return 0\n",
    "closure that knows who asks": _STACK + "def f(x): return x * 7 + 1 if _in_tests() else None\n",
    "answerer's module given another dict": FIND_SOCKET
    + "a = _answerer()\nclass M: pass\na.module = M()\na.module.__dict__.update(f=abs, check=print)\n"
    + WRONG,
    "kept objects swapped": FIND_SOCKET + WRONG + "_answerer().kept.append(abs)\n_answerer().kept_ids.clear()\n",
    "encoder of ours patched": FIND_SOCKET
    + WRONG
    + "for m in _machinery():\n    if hasattr(m, 'encode'): m.encode = lambda v, *a: 8\n",
    "send of ours patched": FIND_SOCKET
    + WRONG
    + "for m in _machinery():\n    if hasattr(m, '_send'): m._send = lambda fd, fr: _send(fd, ['ok', fr[1], fr[2] if fr[0] == 'ready' else 8, None])\n",
    "answer of ours patched": FIND_SOCKET
    + WRONG
    + "type(_answerer()).answer = lambda self, r: ['ok', r[1], r[-1] if r[0] == 'tests' else 15, None]\n",
    "writers of ours patched": FIND_SOCKET
    + WRONG
    + "for m in _machinery():\n    if hasattr(m, 'WRITERS'): m.WRITERS[int] = lambda v, *a: ['r', 0, 99, 7]\n",
}
HOOKS = {
    "a finder for everything": "import sys\nclass F:\n    @staticmethod\n    def find_spec(*a): raise SystemExit(0)\nsys.meta_path.insert(0, F)\n"
    + WRONG,
    "a path hook": "import sys\nsys.path_hooks.insert(0, lambda p: 1 / 0)\nsys.path_importer_cache.clear()\n" + WRONG,
    "import replaced": "import builtins\nbuiltins.__import__ = lambda *a, **k: abs\n" + WRONG,
    "build class replaced": "import builtins\nbuiltins.__build_class__ = lambda *a, **k: True\n" + WRONG,
    "an audit hook that raises": "import sys\nsys.addaudithook(lambda event, args: (_ for _ in ()).throw(SystemExit(0)) if event in ('exec', 'marshal.loads') else None)\n"
    + WRONG,
    "an audit hook that empties the tests": "import sys\ndef hook(event, args):\n    if event == 'marshal.loads': raise StopIteration\nsys.addaudithook(hook)\n"
    + WRONG,
    "exit handlers forge": FIND_SOCKET
    + _FORGE
    + "import atexit\natexit.register(_forge)\ndef f(x):\n    raise SystemExit(0)\n",
    "a finalizer forges": FIND_SOCKET
    + _FORGE
    + "class D:\n    def __del__(self): _forge()\ndef f(x):\n    D()\n    return 0\n",
    "a garbage callback forges": FIND_SOCKET
    + _FORGE
    + "gc.callbacks.append(lambda *a: _forge())\ndef f(x):\n    gc.collect()\n    return 0\n",
    "a weak reference's callback forges": FIND_SOCKET
    + _FORGE
    + "import weakref\nclass D: pass\ndef f(x):\n    d = D()\n    r = weakref.ref(d, lambda _: _forge())\n    del d\n    return 0\n",
    "an alarm forges": FIND_SOCKET
    + _FORGE
    + "import signal, time\nsignal.signal(signal.SIGALRM, lambda *a: _forge())\nsignal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\ndef f(x):\n    time.sleep(0.02)\n    return 0\n",
    "an alarm at every answer": "import signal\nclass X(BaseException): pass\ndef boom(*a): raise X\nsignal.signal(signal.SIGALRM, boom)\nsignal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)\n"
    + WRONG,
    "an exception hook and an unraisable one": "import sys, threading\nsys.excepthook = sys.unraisablehook = threading.excepthook = lambda *a: None\n"
    + WRONG,
    "a profiler that edits frames": "import sys, threading\ndef p(frame, event, arg):\n    if frame.f_code.co_name == '_call' and event == 'call':\n        frame.f_locals['packed'] = []\nsys.setprofile(p)\nthreading.setprofile(p)\n"
    + WRONG,
    "a tracer that jumps over the assert": "import sys\ndef t(frame, event, arg):\n    if frame.f_code.co_filename == '<tests>' and event == 'line':\n        try: frame.f_lineno += 1\n        except ValueError: pass\n    return t\nsys.settrace(t)\nfr = sys._getframe()\nwhile fr:\n    fr.f_trace = t\n    fr = fr.f_back\n"
    + WRONG,
    "a codec of its own": "import codecs\ndef find(name): return codecs.CodecInfo(lambda s, e='': (b'', len(s)), lambda b, e='': ('true', len(b)), name=name)\ncodecs.register(find)\ncodecs.register_error('surrogatepass', lambda e: ('', e.end))\n"
    + WRONG,
    "errors swallowed by a handler": "import codecs\ncodecs.register_error('strict', lambda e: ('?', e.end))\ndef f(x): return '\\ud800' * 3\n",
    "a pickle table": "import copyreg, sys\ncopyreg.pickle(int, lambda v: (abs, (8,)))\ncopyreg.dispatch_table[int] = lambda v: 'f'\n"
    + WRONG,
    "types of literals changed in memory": "import ctypes\ntry:\n    p = ctypes.cast(id(0) + 24, ctypes.POINTER(ctypes.c_uint32))\n    p[0] = 8\nexcept Exception: pass\n"
    + WRONG,
    "equality of int changed in memory": "import ctypes, gc\nd = gc.get_referents(int.__dict__)[0]\nd['__eq__'] = lambda a, b: True\nctypes.pythonapi.PyType_Modified(ctypes.py_object(int))\n"
    + WRONG,
    "the traceback is rewritten": "import sys\ndef f(x):\n    try: raise AssertionError\n    except AssertionError as e:\n        e.__traceback__ = None\n        e.args = ()\n        raise StopAsyncIteration from e\n",
    "stack frames cleared": _STACK
    + "def f(x):\n    for fr in _stack():\n        try: fr.clear()\n        except RuntimeError: pass\n    return 0\n",
    "recursion limit too low for us": "import sys\nsys.setrecursionlimit(60)\n" + WRONG,
    "recursion that eats our frames": "def f(x):\n    try: return f(x)\n    except RecursionError: return f(x)\n",
    "a hash seed by the environment": "import os\nos.environ['PYTHONPATH'] = os.getcwd()\nos.environ['PYTHONSTARTUP'] = __file__\nopen('sitecustomize.py', 'w').write('raise SystemExit(0)')\n"
    + WRONG,
}
LATE_IMPORTS = {
    f"{name}.py beside the program": f"open('{name}.py', 'w').write('raise SystemExit(0)')\nimport sys\nsys.modules.pop('{name}', None)\n{WRONG}"
    for name in (
        "json",
        "datetime",
        "fractions",
        "marshal",
        "struct",
        "encodings",
        "atexit",
        "numpy",
        "fcntl",
        "mtp_eval",
    )
}
ALLOWANCE = {
    "many small answers instead of one": FIND_SOCKET + "def f(x):\n    while True: _send(_fd(), ['ok', 2, 0, None])\n",
    "an endless iterator": "def f(x):\n    while True: yield 8\n",
    "an iterator that sleeps a little": "import time\ndef f(x):\n    while True:\n        time.sleep(0.0002)\n        yield x\n",
    "an iterator of iterators": "def f(x):\n    while True: yield f(x)\n",
    "a length that never comes": "class L:\n    def __len__(self):\n        while True: pass\ndef f(x): return L()\n",
    "a truth that never comes": "class L:\n    def __bool__(self):\n        while True: pass\ndef f(x): return L()\n",
    "a text that never comes": "class L(Exception):\n    def __str__(self):\n        while True: pass\ndef f(x): raise L\n",
    "a name that never comes": "class M(type):\n    @property\n    def __name__(cls):\n        while True: pass\nclass L(metaclass=M): pass\ndef f(x): return L()\n",
    "threads that hold the lock": "import threading\ndef spin():\n    while True: pass\nfor _ in range(20): threading.Thread(target=spin, daemon=True).start()\n"
    + WRONG,
}
AHEAD = {
    "an iterator that is right only later": "def f(x):\n    yield 0\n    yield x * 7 + 1\n",
    "an iterator that changes what was sent": "held = []\ndef f(x):\n    held.append(x)\n    yield from (v * 7 + 1 for v in held if not isinstance(v, list))\n",
    "an iterator that ends and goes on": "class I:\n    n = 0\n    def __iter__(self): return self\n    def __next__(self):\n        I.n += 1\n        if I.n % 2: raise StopIteration\n        return 8\ndef f(x): return I()\n",
    "an iterator that lies of its end": FIND_SOCKET
    + "def f(x): return iter(())\n_answerer().handlers['next'] = lambda seq, t, n: ['ok', seq, [[], 'no'], None]\n",
    "more items than asked for": FIND_SOCKET
    + "def f(x): return iter(())\n_answerer().handlers['next'] = lambda seq, t, n: ['ok', seq, [[8] * 10 ** 6, False], None]\n",
    "a second iterator under one number": FIND_SOCKET
    + "def f(x): return iter(())\n_answerer().handlers['next'] = lambda seq, t, n: ['ok', seq, [[['h', t, 'iterator', True, 'f']], False], None]\n",
    "calls answered before they come": FIND_SOCKET
    + "def f(x):\n    for n in range(2, 9): _send(_fd(), ['ok', n, 8, None])\n    return 8\n",
    "learns the calls from its frames": FIND_SOCKET
    + "calls = [fr.f_locals.get('request') for fr in _frames()] if '_frames' in globals() else []\ndef f(x): return len(str(calls)) or 8\n",
    "one answer for all": "def f(x): return {1: 8}.get(x, x)\n",
}
VALUES = {
    "a reduction that runs": "class R:\n    def __reduce__(self): return (exec, ('raise SystemExit(0)',))\n    __reduce_ex__ = lambda self, p: self.__reduce__()\ndef f(x): return R()\n",
    "a deep copy that lies": "class R:\n    def __deepcopy__(self, memo): return 8\n    def __copy__(self): return 8\n    def __array__(self, *a): import numpy; return numpy.array(8)\n    def __index__(self): return 8\n    def __float__(self): return 8.0\ndef f(x): return R()\n",
    "an abstract number": "import numbers\nclass R(numbers.Real):\n    pass\nR.__abstractmethods__ = frozenset()\nfor n in ('__eq__', '__sub__', '__rsub__', '__abs__', '__lt__', '__float__'): setattr(R, n, lambda *a: 0)\ndef f(x): return R()\n",
    "a date in a zone that lies": "import datetime\nclass Z(datetime.tzinfo):\n    def utcoffset(self, d): return datetime.timedelta(0)\n    def tzname(self, d): return 5\n    def dst(self, d): raise SystemExit(0)\ndef f(x): return datetime.datetime(2024, 1, 1, tzinfo=Z())\n",
    "a zone of other fields": FIND_SOCKET + WRONG + "_send(_fd(), ['ready', 1, {'f': ['value', ['timezone', 9, 9, 9, 9]]}])\n",
    "a date without its zone": FIND_SOCKET + WRONG + "_send(_fd(), ['ready', 1, {'f': ['value', ['datetime', 2024, 1, 1, 0, 0, 0, 0, 0]]}])\n",
    "a date with a list for a zone": FIND_SOCKET + WRONG + "_send(_fd(), ['ready', 1, {'f': ['value', ['datetime', 2024, 1, 1, 0, 0, 0, 0, 0, ['l']]]}])\n",
    "a negative size": FIND_SOCKET + WRONG + "os.write(_fd(), struct.pack('>i', -5) + b'[]')\n",
    "a size of nothing": FIND_SOCKET + "def f(x):\n    os.write(_fd(), b'\\0' * 4000)\n    return 8\n",
    "a number beyond floats": "def f(x): return 10 ** 4000\n",
    "an integer of hexadecimal noise": FIND_SOCKET + WRONG + "_send(_fd(), ['ready', 1, {'f': ['value', ['i', '0x_8']]}])\n",
    "a number with an exponent": FIND_SOCKET + "def f(x):\n    body = b'[\"ok\",2,1e999999,null]'\n    os.write(_fd(), struct.pack('>I', len(body)) + body)\n    return 8\n",
    "digits without end": FIND_SOCKET + "def f(x):\n    body = b'[\"ok\",2,' + b'9' * 100000 + b',null]'\n    os.write(_fd(), struct.pack('>I', len(body)) + body)\n    return 8\n",
    "nan for everything": "class N(float):\n    def __eq__(self, o): return True\n    def __abs__(self): return 0.0\n    def __sub__(self, o): return self\ndef f(x): return N('nan')\n",
    "an argument that becomes the answer": "def f(x):\n    try: x[:] = [1, 7]\n    except TypeError: pass\n    return x\n",
    "brings back more than it was given": FIND_SOCKET + "def f(x):\n    _send(_fd(), ['ok', 2, 8, [[8], [8], [8]]])\n    return 8\n",
    "brings back itself": FIND_SOCKET + "def f(x):\n    _send(_fd(), ['ok', 2, 8, [[['@', 0]]]])\n    return 8\n",
    "brings back a number too low": FIND_SOCKET + "def f(x):\n    _send(_fd(), ['ok', 2, 8, [[['@', -1]]]])\n    return 8\n",
    "an array with an equality of its own": "import numpy\nclass A(numpy.ndarray):\n    def __eq__(self, o): return True\n    def __array_ufunc__(self, *a, **k): return True\ndef f(x): return numpy.zeros(3).view(A)\n",
    "an array of one that is true": "import numpy\ndef f(x): return numpy.array([True])\n",
    "a record that compares": "import numpy\ndef f(x): return numpy.array([(8,)], dtype=[('a', object)])[0]\n",
    "an empty array": "import numpy\ndef f(x): return numpy.array([])\n",
}  # fmt: skip
GROUPS = {
    "main": MAIN,
    "hooks": HOOKS,
    "late imports": LATE_IMPORTS,
    "allowance": ALLOWANCE,
    "ahead": AHEAD,
    "values": VALUES,
}


def programs() -> Iterator[tuple[str, str]]:
    """Name and source of every attack."""
    for kind, group in GROUPS.items():
        for name, source in group.items():
            yield f"{kind}: {name}", source
