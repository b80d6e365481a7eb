"""A task as a stranger would write it from `Task`'s docstring: Roman numerals, both ways."""

from mtp_eval.tasks.problem import Problem, Program, Task

NUMERALS = {"I": 1, "IV": 4, "XIV": 14, "XC": 90, "MCMXCIV": 1994}
QUESTIONS = {
    "value_of": ("Return the value of a Roman numeral.", [f"value_of({n!r}) == {v}" for n, v in NUMERALS.items()]),
    "numeral_of": ("Return the Roman numeral of a number.", [f"numeral_of({v}) == {n!r}" for n, v in NUMERALS.items()]),
}
ANSWERS = {
    "value_of": (
        "    v = [dict(I=1, V=5, X=10, L=50, C=100, D=500, M=1000)[c] for c in x]\n"
        "    return sum(-a if a < b else a for a, b in zip(v, [*v[1:], 0]))\n"
    ),
    "numeral_of": (
        "    t, pairs = '', 'M 1000 CM 900 D 500 CD 400 C 100 XC 90 L 50 XL 40 X 10 IX 9 V 5 IV 4 I 1'.split()\n"
        "    for n, v in zip(pairs[::2], map(int, pairs[1::2])):\n"
        "        t, x = t + n * (x // v), x % v\n"
        "    return t\n"
    ),
}


class RomanTask(Task):
    """Functions about Roman numerals."""

    def __init__(self, name, protocol=None, *, data_dir=None, extract=None):
        problems = [
            Problem(f"roman/{f}", f'def {f}(x):\n    """{text}"""\n', ANSWERS[f], stop=("\ndef",), entry_point=f)
            for f, (text, _) in QUESTIONS.items()
        ]
        super().__init__(name, protocol or "0shot", problems, extract=extract)

    def prefix(self, problem):
        return problem.prompt

    def judge_program(self, problem, source):
        tests = "\n".join(f"assert {test}" for test in QUESTIONS[problem.entry_point][1])
        return Program(problem.problem_id, source, tests=tests)
