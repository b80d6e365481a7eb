"""Programs that try to pass without being right, aimed at what the judge adds to running tests.

Each is to complete `f(x)`, whose tests ask for x * 7 + 1 (and, for arrays and lists, that it changes nothing); none is.
Kinds: the confirmation, the choice of the interpreter, retries, numpy on the wire, arguments that are one object,
answers out of turn, names of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

FIND_SOCKET = """
import os, sys, json, struct, marshal, builtins, gc, types
def _fd():
    frame = sys._getframe()
    while frame is not None:
        fd = frame.f_locals.get("fd")
        if isinstance(fd, int): return fd
        frame = frame.f_back
    return 3
def _send(fd, frame):
    body = json.dumps(frame, separators=(",", ":")).encode()
    os.write(fd, struct.pack(">I", len(body)) + body)
def _answerer():
    frame = sys._getframe()
    while frame is not None:
        if "answerer" in frame.f_locals: return frame.f_locals["answerer"]
        frame = frame.f_back
def _machinery():
    return [m for name, m in list(sys.modules.items()) if name.startswith("mtp_eval")]
"""
"""What several attacks share: the way to the child's own socket, frames and objects."""

WRONG = "def f(x): return 0\n"

CONFIRMATION = {
    "answers every request with ok": FIND_SOCKET
    + WRONG
    + """
a = _answerer()
for name in list(a.handlers): a.handlers[name] = lambda seq, *r: ["ok", seq, r[-1] if r else None, None]
""",
    "a tests handler that echoes the token": FIND_SOCKET
    + WRONG
    + """
_answerer().handlers["tests"] = lambda seq, packed, wanted, token: ["ok", seq, token, None]
""",
    "exec does nothing": "import builtins\nbuiltins.exec = lambda *a, **k: None\n" + WRONG,
    "marshal gives empty code": FIND_SOCKET
    + WRONG
    + """
for m in _machinery():
    if hasattr(m, "marshal"): m.marshal = types.SimpleNamespace(loads=lambda b: [])
""",
    "AssertionError is another class": "import builtins\nbuiltins.AssertionError = type('A', (Exception,), {})\n"
    + WRONG,
    "a right function once the tests come in": FIND_SOCKET
    + """
def f(x):
    if any("<tests>" in str(fr.f_code.co_filename) for fr in _frames()): return x * 7 + 1
    return 0
def _frames():
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back
""",
    "reads the answer out of the tests' constants": FIND_SOCKET
    + """
def f(x):
    frame = sys._getframe().f_back
    while frame is not None:
        if frame.f_code.co_filename == "<tests>": return x * 7 + 1
        frame = frame.f_back
    return None
""",
    "right from the tenth call on": "n = 0\ndef f(x):\n    global n\n    n += 1\n    return x * 7 + 1 if n > 9 else 0\n",
    "right for the split run's last call only": "n = 0\ndef f(x):\n    global n\n    n += 1\n    return x * 7 + 1 if n == 5 else 0\n",
    "a thread that answers the confirmation": FIND_SOCKET
    + WRONG
    + """
import threading, time
fd = _fd()
def late():
    for n in range(2, 200):
        time.sleep(0.001)
        try: _send(fd, ["ok", n, "0" * 32, None])
        except OSError: return
threading.Thread(target=late, daemon=True).start()
""",
    "exits with 0 in the confirmation": "import os\nn = 0\ndef f(x):\n    global n\n    n += 1\n    if n > 5: os._exit(0)\n    return 0\n",
    "a trace function that leaves the assert": "import sys\ndef t(frame, event, arg):\n    return t\nsys.settrace(t)\n"
    + WRONG,
    "equal to everything": "class E:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\ndef f(x): return E()\n",
    "equal int": "class E(int):\n    def __eq__(self, o): return True\n    def __hash__(self): return 0\ndef f(x): return E(3)\n",
    "equal str": "class E(str):\n    def __eq__(self, o): return True\n    def __hash__(self): return 0\ndef f(x): return E('x')\n",
    "equal list": "class E(list):\n    def __eq__(self, o): return True\ndef f(x): return E()\n",
    "reflected equality first": "class E(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\n    def __rsub__(self, o): return 0\ndef f(x): return E()\n",
    "subtracts to zero": "class E:\n    def __sub__(self, o): return 0\n    __rsub__ = __sub__\n    def __eq__(self, o): return True\ndef f(x): return E()\n",
}
MODE = {
    "returns an OrderedDict's keys": "from collections import OrderedDict\ndef f(x): return OrderedDict(a=1).keys()\n",
    "returns a function of its own": "def f(x): return lambda *a: True\n",
    "returns a class": "class E:\n    def __eq__(self, o): return True\ndef f(x): return E\n",
    "is a class": "class f:\n    def __init__(self, x): pass\n    def __eq__(self, o): return True\n",
    "is a callable object": "class C:\n    def __call__(self, x): return self\n    def __eq__(self, o): return True\nf = C()\n",
    "sends that it has no encoding": FIND_SOCKET
    + "def f(x): raise TypeError('the tests pass a value of type function')\n",
    "raises our own exceptions": FIND_SOCKET
    + """
def f(x):
    for m in _machinery():
        for name in ("NotEncodable", "TooLarge", "BadFrame", "NestedTooDeeply"):
            if hasattr(m, name): raise getattr(m, name)("a function")
""",
    "raises Unsendable": "class Unsendable(BaseException): pass\ndef f(x): raise Unsendable('the tests pass a value')\n",
    "raises ProgramEnded": "class ProgramEnded(BaseException): pass\ndef f(x): raise ProgramEnded\n",
    "raises BadTests": "class BadTests(Exception): pass\ndef f(x): raise BadTests('do not compile')\n",
    "raises JailDied": "class JailDied(OSError): pass\ndef f(x): raise JailDied('the zygote is gone')\n",
    "raises an infrastructure error": "class InfrastructureError(MemoryError): pass\ndef f(x): raise InfrastructureError\n",
    "a function named check": "def check(c): pass\n" + WRONG,
    "defines what the tests define": "def check(candidate): return None\ncandidate = lambda x: x * 7 + 1\n" + WRONG,
    "defines METADATA": "METADATA = {'interpreter': 'program'}\nsame_interpreter = True\n" + WRONG,
    "every builtin is True": "import builtins\nfor n in ('all','any','bool','isinstance','len','abs'):\n    setattr(builtins, n, lambda *a: True)\n"
    + WRONG,
    "names that are builtins": "def abs(x): return 0\ndef range(n): return []\ndef isinstance(a, b): return True\ndef list(x): return []\n"
    + WRONG,
}
RETRIES = {
    "kills itself": "import os\ndef f(x): os.kill(os.getpid(), 9)\n",
    "kills itself when loaded": "import os\nos.kill(os.getpid(), 9)\n" + WRONG,
    "aborts": "import os\ndef f(x): os.abort()\n",
    "crashes the interpreter": "import ctypes\ndef f(x): ctypes.string_at(0)\n",
    "tries to kill its parent": "import os\ndef f(x):\n    os.kill(os.getppid(), 9)\n    return 0\n",
    "tries to kill everything": "import os\ndef f(x):\n    for s in (9, 15, 19):\n        try: os.kill(-1, s)\n        except OSError: pass\n    return 0\n",
    "leaves a file for the retry": "import os\ndef f(x):\n    if os.path.exists('seen'): return x * 7 + 1\n    open('seen', 'w').close()\n    os.kill(os.getpid(), 9)\n",
    "leaves a file in /tmp": "import os\ndef f(x):\n    if os.path.exists('/tmp/seen2'): return x * 7 + 1\n    open('/tmp/seen2', 'w').close()\n    return 0\n",
    "lets the wall clock run out": "import time\ndef f(x): time.sleep(30)\n",
    "stops itself": "import os\ndef f(x): os.kill(os.getpid(), 19)\n",
    "closes its socket": FIND_SOCKET + "def f(x):\n    os.close(_fd())\n    return 0\n",
    "shuts its socket down": FIND_SOCKET
    + "import socket\ndef f(x):\n    socket.socket(fileno=_fd()).shutdown(2)\n    return 0\n",
    "fills its address space": "def f(x):\n    a = []\n    while True: a.append(bytearray(1 << 24))\n",
    "recurses in C": "def f(x):\n    a = []\n    for _ in range(10 ** 6): a = [a]\n    return a\n",
    "leaves a half frame": FIND_SOCKET + "def f(x):\n    os.write(_fd(), b'\\x00\\x00\\x01')\n    os._exit(0)\n",
    "sends a frame of 4 GB": FIND_SOCKET + "def f(x):\n    os.write(_fd(), b'\\xff\\xff\\xff\\xff')\n    return 0\n",
}
ANSWERS = {
    "ready as a list": ["ready", 1, [["f", ["value", 8]]]],
    "ready with builtins": [
        "ready",
        1,
        {"f": ["value", ["builtin", "abs"]], "abs": ["value", 0], "isinstance": ["value", 1]},
    ],
    "ready with a module": ["ready", 1, {"f": ["module", "os"]}],
    "ready with a false module": ["ready", 1, {"f": ["module", "f"]}],
    "ready with a handle that is a bool": ["ready", 1, {"f": ["call", True]}],
    "ready with too many parts": ["ready", 1, {"f": ["call", 0, 1, 2]}],
    "ready with null": ["ready", 1, {"f": None}],
    "ready with an iterator": ["ready", 1, {"f": ["value", ["h", 0, "iterator", True, "f"]]}],
    "array with a negative shape": ["ready", 1, {"f": ["value", ["n", "<i4", [-1], ""]]}],
    "array with another shape": ["ready", 1, {"f": ["value", ["n", "<i4", [5], "AAAA"]]}],
    "array with a broken base64": ["ready", 1, {"f": ["value", ["n", "<i4", [1], "A"]]}],
    "array with a huge shape": ["ready", 1, {"f": ["value", ["n", "|b1", [1 << 62, 0, 4], ""]]}],
    "array of unknown type": ["ready", 1, {"f": ["value", ["n", "|V8", [1], "AAAAAAAAAAA="]]}],
    "array of broken type": ["ready", 1, {"f": ["value", ["n", "(,)i4", [1], "AAAAAA=="]]}],
    "array of long unicode": ["ready", 1, {"f": ["value", ["n", "<U999999999", [1], ["x"]]]}],
    "array of dates": ["ready", 1, {"f": ["value", ["n", "<M8[zz]", [1], "AAAAAAAAAAA="]]}],
    "array of objects in objects": [
        "ready",
        1,
        {"f": ["value", ["n", "|O", [1], [["n", "|O", [1], [["n", "<i4", [9], ""]]]]]]},
    ],
    "scalar without bytes": ["ready", 1, {"f": ["value", ["ns", "<i8", ""]]}],
    "scalar that is a list": ["ready", 1, {"f": ["value", ["ns", "<i8", []]]}],
    "scalar of text": ["ready", 1, {"f": ["value", ["ns", "<U3", 5]]}],
    "shared marks in an answer": ["ready", 1, {"f": ["value", ["=", 0, ["l", 1]]]}],
    "a back reference in an answer": ["ready", 1, {"f": ["value", ["@", 0]]}],
    "set of lists": ["ready", 1, {"f": ["value", ["e", ["l"]]]}],
    "dict of lists": ["ready", 1, {"f": ["value", ["d", ["l"], 1]]}],
    "complex of nothing": ["ready", 1, {"f": ["value", ["c"]]}],
    "slice with unhashable": ["ready", 1, {"f": ["value", ["sl", 1]]}],
    "decimal that is none": ["ready", 1, {"f": ["value", ["Decimal", "x"]]}],
    "fraction over zero": ["ready", 1, {"f": ["value", ["Fraction", 1, 0]]}],
    "date out of range": ["ready", 1, {"f": ["value", ["date", 0, 0, 0]]}],
    "a tag that is a number": ["ready", 1, {"f": ["value", [5]]}],
    "an empty list": ["ready", 1, {"f": ["value", []]}],
    "a raise for a ready": ["raise", 1, "StopIteration", ["Exception"], "", ""],
    "a raise that is short": ["raise", 1, "E"],
    "a raise with numbers": ["raise", 1, 5, 5, 5, 5],
    "a raise of a group": ["raise", 1, "ExceptionGroup", ["Exception"], "x", ""],
    "a syntax answer with a dict": ["syntax", 1, {}],
    "an exit with a list": ["exit", 1, []],
    "done for a ready": ["done", 1, 0],
    "ok for a ready": ["ok", 1, {"f": ["value", 1]}, None],
}
"""First answers that are sent in the place of the right one."""
CALLS = {
    "brings back more containers": ["ok", 2, 8, [[1], [2], [3]]],
    "brings back a number": ["ok", 2, 8, 5],
    "brings back text": ["ok", 2, 8, "abc"],
    "brings back bad references": ["ok", 2, 8, [[["@", 99]]]],
    "brings back a negative reference": ["ok", 2, 8, [[["@", -1]]]],
    "brings back a cycle": ["ok", 2, 8, [[["@", 0]]]],
    "a raise that brings back": ["raise", 2, "ValueError", [], "x", "", [[1]]],
    "an answer for another call": ["ok", 3, 8, None],
    "an answer with a float number": ["ok", 2.0, 8, None],
    "an answer with a true number": ["ok", True, 8, None],
    "an answer without a value": ["ok", 2],
    "an answer in an answer": ["ok", 2, ["ok", 2, 8, None], None],
    "next's answer for a call": ["ok", 2, [[8, 8, 8], True], None],
}
"""Answers to the first call that are sent in the place of the right one."""
ARRAYS = {
    "an array that is equal": "import numpy as np\nclass A(np.ndarray):\n    def __eq__(self, o): return True\ndef f(x): return np.zeros(1).view(A)\n",
    "an array of nothing": "import numpy as np\ndef f(x): return np.array([])\n",
    "an array of objects that are equal": "import numpy as np\nclass E:\n    def __eq__(self, o): return True\ndef f(x): return np.array(E(), dtype=object)\n",
    "an array of nan": "import numpy as np\ndef f(x): return np.array([np.nan])\n",
    "numpy's bool patched": "import numpy as np\nnp.bool_ = lambda *a: True\ndef f(x): return np.float64(0)\n",
    "a scalar of a subclass": "import numpy as np\nclass F(np.float64):\n    def __eq__(self, o): return True\n    __hash__ = None\ndef f(x): return F(0)\n",
    "numpy that is no numpy": "import sys, types\nm = types.ModuleType('numpy')\nclass ndarray:\n    dtype = property(lambda s: s)\n    nbytes = 0\n    def __eq__(self, o): return True\nndarray.__module__ = 'numpy'\nm.ndarray = ndarray\nsys.modules['numpy'] = m\ndef f(x): return ndarray()\n",
    "masked": "import numpy as np\ndef f(x): return np.ma.masked\n",
    "broadcast to what is asked": "import numpy as np\ndef f(x): return np.arange(1000)\n",
}


def programs() -> Iterator[tuple[str, str]]:
    """(name, source) of every attack."""
    for kind, group in (("confirmation", CONFIRMATION), ("mode", MODE), ("retries", RETRIES), ("arrays", ARRAYS)):
        for name, source in group.items():
            yield f"{kind}: {name}", source
    for name, frame in ANSWERS.items():
        yield f"answer: {name}", f"{FIND_SOCKET}{WRONG}_send(_fd(), {frame!r})\n"
    for name, frame in CALLS.items():
        yield f"call: {name}", f"{FIND_SOCKET}def f(x):\n    _send(_fd(), {frame!r})\n    return 0\n"
