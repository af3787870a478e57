"""The models that ship with the package, a small causal LM (`llm/`) and a small encoder (`encoder/`), and what builds them.

They exist so that the whole pipeline runs anywhere, without a GPU, a network or an account; their results mean nothing.
"""
