"""DataDreamer: one prompted step over a data source of row numbers; its output folder is what a second run finds.

The model's name begins with gpt-4-, since it asks only such ones by chat.
"""

from datadreamer import DataDreamer
from datadreamer.llms import OpenAI
from datadreamer.steps import DataSource, ProcessWithPrompt
from work import INSTRUCTION, MAX_TOKENS, read_arguments, tell

if __name__ == "__main__":
    args = read_arguments()
    with DataDreamer(args.out):
        llm = OpenAI(model_name="gpt-4-stub", base_url=args.url, api_key="none")
        numbers = DataSource("numbers", data=[{"number": f"row={number}"} for number in range(args.rows)])
        settings = {"max_new_tokens": MAX_TOKENS, "temperature": 1.0, "top_p": 1.0, "batch_size": args.open}
        step = ProcessWithPrompt(
            "write", inputs={"inputs": numbers.output["number"]}, args={"llm": llm, "instruction": INSTRUCTION, **settings},
            outputs={"inputs": "number", "generations": "text"},
        )  # fmt: skip
        written = [(int(row["number"].removeprefix("row=")), row["text"]) for row in step.output]
    tell(args.rows, written)
