"""bespokelabs-curator: an LLM over a data set of row numbers; the cache (CURATOR_CACHE_DIR) is what a second run finds."""

from bespokelabs import curator
from datasets import Dataset
from work import MAX_TOKENS, MODEL, prompt_of, read_arguments, tell


class Writer(curator.LLM):
    """One text a row."""

    def prompt(self, row: dict) -> str:
        """What is asked for a row."""
        return prompt_of(row["number"])

    def parse(self, row: dict, response: str) -> dict:
        """The row that a reply becomes."""
        return {"number": row["number"], "text": response}


args = read_arguments()
limits = {"max_concurrent_requests": args.open, "max_requests_per_minute": 10**7, "max_tokens_per_minute": 10**10}
backend = {"base_url": args.url, "api_key": "none", "require_all_responses": False, **limits}
writer = Writer(
    model_name=MODEL, backend="openai", generation_params={"temperature": 1.0, "max_tokens": MAX_TOKENS}, backend_params=backend
)
written = writer(Dataset.from_dict({"number": list(range(args.rows))})).dataset
written.save_to_disk(f"{args.out}/dataset")
tell(args.rows, zip(written["number"], written["text"], strict=True))
