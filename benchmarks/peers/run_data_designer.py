"""NeMo Data Designer: one LLM text column over a seed table of row numbers; resumes what its folder holds."""

from pathlib import Path

import data_designer.config as dd
import pandas as pd
from data_designer.config.run_config import RunConfig
from data_designer.engine.storage.artifact_storage import ResumeMode
from data_designer.interface import DataDesigner
from work import INSTRUCTION, MAX_TOKENS, MODEL, read_arguments, tell

args = read_arguments()
provider = dd.ModelProvider(name="here", endpoint=args.url, provider_type="openai", api_key="none")
settings = dd.ChatCompletionInferenceParams(temperature=1.0, max_tokens=MAX_TOKENS, max_parallel_requests=args.open)
model = dd.ModelConfig(alias="writer", model=MODEL, provider="here", inference_parameters=settings)
designer = DataDesigner(artifact_path=args.out, model_providers=[provider])
designer.set_run_config(RunConfig(otel_metrics_port=None))
builder = dd.DataDesignerConfigBuilder(model_configs=[model])
builder.with_seed_dataset(dd.DataFrameSeedSource(df=pd.DataFrame({"number": range(args.rows)})))
builder.add_column(dd.LLMTextColumnConfig(name="text", model_alias="writer", prompt=INSTRUCTION + " row={{ number }}"))
resume = ResumeMode.ALWAYS if Path(args.out, "dataset").is_dir() else ResumeMode.NEVER
written = designer.create(builder, num_records=args.rows, dataset_name="dataset", resume=resume).load_dataset()
tell(args.rows, zip(written["number"].astype(int), written["text"], strict=True))
