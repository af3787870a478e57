"""The methods and what takes part in each; code reads these attributes and compares no method by name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MethodKind:
    """What takes part in one method."""

    name: str
    writes: bool = False
    """An LLM writes texts that the student learns from."""
    annotates: bool = False
    """An LLM labels unlabelled texts that the student learns from."""
    learns_gold: bool = False
    """The student learns from labelled gold rows."""
    has_student: bool = True

    @property
    def answers(self) -> bool:
        """Whether an LLM answers a question about each text: an unlabelled one, or without a student a scored one."""
        return self.annotates or not self.has_student

    @property
    def has_llm(self) -> bool:
        return self.writes or self.answers

    @property
    def makes_dataset(self) -> bool:
        """Whether a data set is made of what an LLM writes or labels."""
        return self.writes or self.annotates

    @property
    def mixes(self) -> bool:
        """Whether the student learns from a data set and from gold rows."""
        return self.makes_dataset and self.learns_gold


METHODS = {
    kind.name: kind
    for kind in (
        MethodKind("japagen", writes=True),
        MethodKind("gold", learns_gold=True),
        MethodKind("mixed", writes=True, learns_gold=True),
        MethodKind("annotate", annotates=True),
        MethodKind("annotate_japagen", writes=True, annotates=True),
        MethodKind("prompting", has_student=False),
    )
}
