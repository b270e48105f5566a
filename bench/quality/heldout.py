from bench import Bench


def measure(bench: Bench) -> None: ...
