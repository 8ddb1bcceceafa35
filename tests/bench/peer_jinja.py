#!/usr/bin/env python3
"""peer_jinja.py - the renderings of templates.sh: peer_jinja.py PATH-OF-bench-templates"""
import datetime
import glob
import importlib.util
import json
import os
import subprocess
import sys

from transformers.utils import chat_template_utils

NOW = 1785000000
UNSUPPORTED = -8  # ERR_UNSUPPORTED of store/error.h


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)


chat_template_utils.datetime = Clock

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Get \"the\" weather <b>&'", "parameters": {
        "type": "object", "properties": {
            "city": {"type": "string", "description": "City é"},
            "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
            "n": {"type": ["integer", "null"], "minimum": 1.5}, "list": {"type": "array", "items": {"type": "string"}},
            "obj": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}},
        "required": ["city"]}, "return": {"type": "string", "description": "r"}}},
    {"type": "function", "function": {"name": "noargs", "description": "x", "parameters": {
        "type": "object", "properties": {}}}}]
USER = {"role": "user", "content": "  Hé \n“llo” 🍌 "}
ANSWER = {"role": "assistant", "content": "Yes.\n "}
SYSTEM = {"role": "system", "content": " Be brief. "}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {
    "name": "get_weather", "arguments": {"city": "Paris", "n": 2, "x": None, "b": True, "l": [1, "é"]}}}]}
CALL_TEXT = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {
    "name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}}]}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdefghi", "content": "{\"t\": 3}"}
THOUGHTS = [{"role": "assistant", "content": "<think>\nhmm\n</think>\n\nanswer"},
            {"role": "assistant", "content": "answer", "reasoning_content": "because"},
            {"role": "assistant", "content": "a", "thinking": "b"}]
PARTS = {"role": "user", "content": [{"type": "text", "text": "look "}, {"type": "text", "text": "here"}]}
IMAGE = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "look"}]}
CONVERSATIONS = [
    [USER], [SYSTEM, USER], [USER, ANSWER], [SYSTEM, USER, ANSWER, USER], [USER, ANSWER, USER, ANSWER],
    [SYSTEM, USER, CALL, RESULT], [SYSTEM, USER, CALL, RESULT, ANSWER, USER], [USER, CALL_TEXT, RESULT],
    [USER, THOUGHTS[0], USER], [USER, THOUGHTS[1], USER], [USER, THOUGHTS[2]], [PARTS], [SYSTEM, PARTS, ANSWER],
    [IMAGE, ANSWER, IMAGE], [ANSWER, USER], [USER, USER], [SYSTEM], [SYSTEM, SYSTEM, USER], [USER, SYSTEM, USER], [RESULT],
    [USER, CALL, RESULT, RESULT, ANSWER], [{"role": "developer", "content": "d"}, USER], [{"role": "weird", "content": "x"}],
    [{"role": "user"}], [{"role": "user", "content": None}], [{"role": "user", "content": 5}], []]
SETTINGS = [
    {"add_generation_prompt": False, "tools": None, "documents": None},
    {"add_generation_prompt": True, "tools": None, "documents": None},
    {"add_generation_prompt": True, "tools": TOOLS, "documents": None},
    {"add_generation_prompt": True, "tools": TOOLS[1:], "documents": [{"title": "T", "text": "x"}], "enable_thinking": False,
     "reasoning_effort": "low", "model_identity": "me", "builtin_tools": ["browser", "python"]}]


def theirs(case):
    try:
        return {"text": chat_template_utils._compile_jinja_template(case["template"]).render(**case["variables"])}
    except Exception as failure:
        return {"error": f"{type(failure).__name__}: {failure}"}


def main():
    folder = os.path.join(os.path.dirname(importlib.util.find_spec("trl").origin), "chat_templates")
    paths = sorted(glob.glob(os.path.join(folder, "*.jinja")))
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    cases = [{"name": os.path.basename(path), "template": open(path, encoding="utf-8", newline="").read(), "now": NOW,
              "variables": {**tokens, **settings, "messages": messages}}
             for path in paths for messages in CONVERSATIONS for settings in SETTINGS]
    lines = subprocess.run([sys.argv[1]], input="".join(json.dumps(case) + "\n" for case in cases), capture_output=True,
                           text=True, check=True).stdout.split("\n")[:-1]
    same = both = 0
    refused, different = [], []
    for case, line in zip(cases, lines, strict=True):
        our, their = json.loads(line), theirs(case)
        if "text" in our and our == their:
            same += 1
        elif "error" in our and "error" in their:
            both += 1
        elif our.get("code") == UNSUPPORTED:
            refused.append(f"{case['name']}: {our['error']}")
        else:
            different.append(f"{case['name']}: {json.dumps(case['variables'])[:300]}\n  ours:   {our}\n  theirs: {their}")
    for text in sorted(set(refused)) + different[:20]:
        print(text)
    print(f"{len(paths)} templates, {len(cases)} renderings: {same} the same, {both} an error in both, {len(refused)} refused "
          f"by name, {len(different)} different")
    sys.exit(len(different) > 0)


if __name__ == "__main__":
    main()
