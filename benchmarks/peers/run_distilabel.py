"""distilabel: load -> text generation, a pipeline with its cache; resumes what the cache holds."""

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from work import MAX_TOKENS, MODEL, ROW, prompt_of, read_arguments, tell

if __name__ == "__main__":
    args = read_arguments()
    with Pipeline(name="peer", cache_dir=f"{args.out}/cache") as pipeline:
        asked = LoadDataFromDicts(data=[{"instruction": prompt_of(number)} for number in range(args.rows)], batch_size=args.open)
        llm = OpenAILLM(
            model=MODEL, base_url=args.url, api_key="none", generation_kwargs={"max_new_tokens": MAX_TOKENS, "temperature": 1.0}
        )
        asked >> TextGeneration(llm=llm, input_batch_size=args.open)
    written = pipeline.run(use_cache=True)
    written.save_to_disk(f"{args.out}/dataset")
    rows = written["default"]["train"]
    numbers = [int(ROW.search(instruction)[1]) for instruction in rows["instruction"]]
    tell(args.rows, zip(numbers, rows["generation"], strict=True))
