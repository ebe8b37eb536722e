"""The text in a box, in two languages."""

from __future__ import annotations

from tinygrad_kr.diagram.capture import Box

__all__ = ["LANGUAGES", "lines"]

LANGUAGES = "en", "ko"
WORDS = {
    "leaf": ("leaf", "매개변수"),
    "input": ("input", "입력"),
    "lost": ("input or number (not kept)", "입력 또는 수 (보관되지 않음)"),
    "gradient": ("gradient norm {}", "기울기 노름 {}"),
    "freed": ("freed by backward()", "backward()로 해제됨"),
    "rest": ("{} more operations, not drawn", "그리지 않은 연산 {}개"),
    "one": ("1 more operation, not drawn", "그리지 않은 연산 1개"),
}


def lines(box: Box, lang: str) -> list[str]:
    """Return the lines of text in a box; the first is its title."""

    def say(key: str) -> str:
        return WORDS[key][LANGUAGES.index(lang)]

    if box.kind == "rest":
        return [say("one") if box.count == 1 else say("rest").format(f"{box.count:,}")]
    value = f"= {box.value}" if box.value else ""
    shape = "" if box.shape is None else str(box.shape)
    if box.kind == "operation":
        title = f"{box.name} = {box.title}" if box.name else box.title
        params = ", ".join(f"{key}={text}" for key, text in box.params.items())
        found = [title, params, value or shape, say("freed") if box.freed else ""]
    elif box.kind == "constant":
        found = [box.value]
    elif box.kind == "input":
        found = [box.title or say("lost" if box.shape is None else "input"), value or f"{shape} {box.dtype}".strip()]
    else:
        norm = box.gradient_norm
        gradient = "" if norm is None else say("gradient").format(f"{norm:.3g}")
        found = [box.title or say("leaf"), f"{shape} {box.dtype}", value, gradient]
    return [line for line in found if line]
