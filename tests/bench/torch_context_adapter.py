"""torch_context_adapter.py - the folder of an adapter, as `occ train align` writes it and `occ` reads it: PEFT's
adapter_model.safetensors and adapter_config.json, and context.safetensors, the bridge (train/context/bridge.h)."""
import json
import os

import torch
from safetensors.torch import load_file, save

from torch_context_network import GAINS, LOW, MERGES, PROJECTIONS
from torch_context_rows import AGES, MARKS

ALL_AGES, EXPAND = 16, 1  # ages that a file has; soft tokens of a visual one, unless somebody says otherwise


def bridge_tensors(bridge):
    """By name. Ages beyond those that were learned are as the last one."""
    marks = torch.cat([bridge.marks, bridge.marks[-1:].expand(ALL_AGES - AGES, -1)])
    tensors = {"marks.weight": marks, "bridge.shift": bridge.shift, "bridge.mean": bridge.mean}
    tensors |= {f"bridge.merge.{i}.weight": merge for i, merge in enumerate(bridge.merge)}
    return tensors | {f"bridge.gain.{i}": gain for i, gain in enumerate(bridge.gain)}


def low_rank_tensors(network):
    tensors = {}
    for i in range(network.count):
        for short, name in PROJECTIONS.items():
            prefix = f"base_model.model.model.layers.{i}.{name}.lora_"
            tensors |= {prefix + "A.weight": network.a[short][i], prefix + "B.weight": network.b[short][i]}
    return tensors


def put(tensors, path, metadata):
    lowered = {name: value.detach().to("cpu", LOW).clone().contiguous() for name, value in tensors.items()}
    with open(path + ".new", "wb") as file:
        file.write(save(lowered, metadata))
    os.replace(path + ".new", path)


def write(network, about, base, folder):
    """about: of torch_context_pages.py; base: the name of the language model."""
    os.makedirs(folder, exist_ok=True)
    embedding = network.embedding.float()
    context = {"version": 1, "kind": "named", "dim": about["dim"], "width": embedding.shape[1], "expand": EXPAND,
               "buckets": 1, "scale": embedding.square().mean().sqrt().item(), "encoder": about["encoder"],
               "reader": False, "hidden": 0, "reading": about["reading"]}
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base, "r": network.rank,
              "lora_alpha": 2 * network.rank, "lora_dropout": 0.0, "bias": "none", "inference_mode": True,
              "fan_in_fan_out": False, "target_modules": [name.split(".")[1] for name in PROJECTIONS.values()]}
    about_bridge = {"occ.context": json.dumps(context)}
    put(bridge_tensors(network.bridge), os.path.join(folder, "context.safetensors"), about_bridge)
    put(low_rank_tensors(network), os.path.join(folder, "adapter_model.safetensors"), {"format": "pt"})
    with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)


def rank_of(folder):
    with open(os.path.join(folder, "adapter_config.json"), encoding="utf-8") as file:
        return json.load(file)["r"]


@torch.no_grad()
def read(network, folder):
    learned = load_file(os.path.join(folder, "adapter_model.safetensors"))
    for name, value in low_rank_tensors(network).items():
        value.copy_(learned[name])
    learned, bridge = load_file(os.path.join(folder, "context.safetensors")), network.bridge
    bridge.marks.copy_(learned["marks.weight"][:MARKS])
    bridge.shift.copy_(learned["bridge.shift"])
    bridge.mean.copy_(learned["bridge.mean"])
    for i in range(MERGES):
        bridge.merge[i].copy_(learned[f"bridge.merge.{i}.weight"])
    for i in range(GAINS):
        bridge.gain[i].copy_(learned[f"bridge.gain.{i}"])
