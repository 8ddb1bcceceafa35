"""get-smollm2.py - a GGUF file of a small Llama with GPT-2's kind of tokenizer to the layout of Hugging Face.

    get-smollm2.py [--packed] MODEL.gguf FOLDER

Needs PyPI's gguf. Weights become F32, which holds the file's numbers exactly; with --packed those of Q4_1 and Q8_0 stay
as they are: NAME.weight as U8 (outputs, inputs / 2) or I8 (outputs, inputs), NAME.weight.scale and NAME.weight.minimum
as F16 (outputs, inputs / 32), see train/decoder/decoder.h.
"""
import json
import os
import sys

import numpy
from gguf import GGMLQuantizationType, GGUFReader, dequantize

NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
OUTSIDE = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
           "output.weight": "lm_head.weight"}
TYPES = {"float32": "F32", "float16": "F16", "uint8": "U8", "int8": "I8"}


def name_of(name):
    """A tensor's name in the layout of Hugging Face."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    _, layer, which, _ = name.split(".")
    return f"model.layers.{layer}.{NAMES[which]}.weight"


def rotary_rows(rows, heads):
    """GGUF has the two halves of each head of q and k interleaved: where its rows stand there, in order."""
    return numpy.arange(rows).reshape(heads, rows // heads // 2, 2).swapaxes(1, 2).reshape(rows)


def unpacked(name, tensor):
    """The arrays that a tensor becomes, by name."""
    yield name, dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32, copy=False)


def packed(name, tensor):
    """The same, in the numbers of the file: a block is a scale, with Q4_1 a minimum, and 32 numbers."""
    head = {GGMLQuantizationType.Q4_1: 4, GGMLQuantizationType.Q8_0: 2}.get(tensor.tensor_type)
    if head is None:
        yield from unpacked(name, tensor)
        return
    rows = tensor.data.shape[0]
    blocks = tensor.data.reshape(rows, tensor.shape[0] // 32, -1)
    numbers = blocks[:, :, head:].reshape(rows, -1)
    yield name, numbers if head == 4 else numbers.view(numpy.int8)
    scales = numpy.ascontiguousarray(blocks[:, :, :head]).view(numpy.float16)
    yield name + ".scale", scales[:, :, 0]
    if head == 4:
        yield name + ".minimum", scales[:, :, 1]


def write_weights(path, tensors, convert, heads):
    """model.safetensors, a tensor at a time: `heads` has the count of heads of q and k."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for write in (False, True):
        if write:
            text = json.dumps(header, separators=(",", ":")).encode()
            text += b" " * (-(len(text) + 8) % 64)
            out = open(path, "wb")
            out.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            name = name_of(tensor.name)
            for key, array in convert(name, tensor):
                if write:
                    count = heads.get(name.split(".")[-2])
                    out.write((array[rotary_rows(len(array), count)] if count else array).tobytes())
                else:
                    header[key] = {"dtype": TYPES[array.dtype.name], "shape": list(array.shape),
                                   "data_offsets": [end, end + array.nbytes]}
                    end += array.nbytes
    out.close()


def tokenizer(tokens, types, merges):
    """tokenizer.json. Digits are split one by one first: llama.cpp's rule for the pre-tokenizer `smollm`. The
    vocabulary lacks a few bytes that are in no UTF-8 or rare; they are left out, as the model's authors have it."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True} for i, (token, kind) in enumerate(zip(tokens, types)) if kind != 1],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: i for i, token in enumerate(tokens)},
                  "merges": [merge.split(" ") for merge in merges]}}


def main():
    convert = packed if sys.argv[1] == "--packed" else unpacked
    source, folder = sys.argv[-2:]
    reader = GGUFReader(source)
    field = {key: value.contents() for key, value in reader.fields.items()}
    llama = {key.removeprefix("llama."): value for key, value in field.items() if key.startswith("llama.")}
    ggml = {key.removeprefix("tokenizer.ggml."): value for key, value in field.items() if "ggml" in key}
    heads, kv_heads = llama["attention.head_count"], llama["attention.head_count_kv"]
    write_weights(os.path.join(folder, "model.safetensors"), reader.tensors, convert,
                  {"q_proj": heads, "k_proj": kv_heads})
    begin, end, pad = (ggml[name + "_token_id"] for name in ("bos", "eos", "padding"))
    files = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float32",
            "vocab_size": llama["vocab_size"], "hidden_size": llama["embedding_length"],
            "intermediate_size": llama["feed_forward_length"], "num_hidden_layers": llama["block_count"],
            "num_attention_heads": heads, "num_key_value_heads": kv_heads,
            "head_dim": llama["rope.dimension_count"], "max_position_embeddings": llama["context_length"],
            # A float of 32 bits in the file.
            "rms_norm_eps": float(f"{llama['attention.layer_norm_rms_epsilon']:.6g}"),
            "rope_theta": llama["rope.freq_base"], "rope_scaling": None, "hidden_act": "silu",
            "attention_bias": False, "mlp_bias": False,
            "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in reader.tensors),
            "bos_token_id": begin, "eos_token_id": end, "pad_token_id": pad},
        "generation_config.json": {"bos_token_id": begin, "eos_token_id": end, "pad_token_id": pad},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": llama["context_length"],
            "bos_token": ggml["tokens"][begin], "eos_token": ggml["tokens"][end],
            "pad_token": ggml["tokens"][pad], "unk_token": ggml["tokens"][ggml["unknown_token_id"]],
            "clean_up_tokenization_spaces": False, "chat_template": field["tokenizer.chat_template"]},
        "tokenizer.json": tokenizer(ggml["tokens"], ggml["token_type"], ggml["merges"])}
    for name, value in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
            json.dump(value, out, ensure_ascii=False, indent=None if name == "tokenizer.json" else 2)


main()
