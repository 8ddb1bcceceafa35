#!/usr/bin/env python3
"""make.py - writes cases.json beside it: templates rendered by jinja2 as transformers has it.

    python3 -m venv v && v/bin/pip install transformers==5.24.0 jinja2==3.1.6 && v/bin/python make.py

Chat templates are those that models were published with (SmolLM2, ChatML, Zephyr and TinyLlama, Llama 2 and 3, Mistral,
Gemma, Phi 3, Qwen 2.5, whose licence is Apache-2.0); each is rendered for CONVERSATIONS. SNIPPETS are one line each, what
they show is Jinja itself; LINES are about white space around tags. Where Python raises an exception, ours is an error.
"""
import datetime
import json
import os

from transformers.utils import chat_template_utils

NOW = 1785000000


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)


chat_template_utils.datetime = Clock

TEMPLATES = {
    "smollm2": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "llama2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "mistral": "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
    "phi3": "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    "qwen2.5": open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "qwen2.5.jinja"), newline="").read(),
    "generation": "{% for message in messages %}{% if message['role'] == 'assistant' %}<a>{% generation %}{{ message['content'] }}<e>{% endgeneration %}\n{% else %}<u>{{ message['content'] }}\n{% endif %}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}",
}

USER = {"role": "user", "content": "  Hé \n“llo” 🍌 "}
ANSWER = {"role": "assistant", "content": "Yes.\n "}
SYSTEM = {"role": "system", "content": " Be brief. "}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {
    "name": "get_weather", "arguments": {"city": "Paris", "n": 2, "x": None, "b": True, "l": [1, "é"]}}}]}
RESULT = {"role": "tool", "name": "get_weather", "content": "{\"t\": 3}"}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Get \"the\" weather <b>&'", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "n": {"minimum": 1.5}}, "required": ["city"]}}}]
CONVERSATIONS = [
    {"messages": [USER]},
    {"messages": [USER], "add_generation_prompt": True},
    {"messages": [SYSTEM, USER], "add_generation_prompt": True},
    {"messages": [SYSTEM, USER, ANSWER]},
    {"messages": [USER, ANSWER, USER, ANSWER, USER], "add_generation_prompt": True},
    {"messages": [USER, USER]},
    {"messages": [{"role": "user", "content": None}]},
    {"messages": [SYSTEM, USER, CALL, RESULT], "tools": TOOLS, "add_generation_prompt": True},
]

VARIABLES = {
    "messages": [{"role": "system", "content": "Be  brief. "}, {"role": "user", "content": "Hé\n\"llo\" 'x' 🍌"},
                 {"role": "assistant", "content": "  yes\n"}],
    "n": 7, "t": True, "no": None, "s": "a,b,,c", "u": "Ünïcode 🍌 text", "e": "", "l": [3, 1, 2], "ls": ["b", "A", "c"],
    "d": {"b": 1, "a": {"x": [1, None, True, 2.5, "é\n"]}, "items": 5}, "deep": {"a": [{"b": "z"}]}, "tools": TOOLS,
}
SNIPPETS = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "snippets.txt"), encoding="utf-8").read()
LINES = [
    "a\n{% if true %}\nb\n{% endif %}\nc\n", "a\n  {% if true %}  \nb\n  {% endif %}c",
    "  {%- if true -%}  \n b \n {%- endif %} c", "  {{ 1 }}\n  {{- 2 -}}  \n x", "{# c #}\nx\n  {# d #}\ny",
    "  {#- c -#}  \n x", "x\n\n", "x\n", "x\r\ny\r\n", "x\ry",
    "\n\n{% if true %}\n\n{% endif %}\n\n", "  a {% if true %}b{% endif %}  {% if true %}\n c{% endif %}",
    "\t{% set x = 1 %}\n\t{{ x }}", "{% set x = 1 %}\n  {% set y = 2 %}\nz",
    "a{{ 1 -}}\n\n  b{{- 2 }}",
    "{% if true %}\u00a0 {%- endif %}|", "{%if true%}x{%endif%}", "{{'a'}}{{'b'}}", "{ % x", "{", "{{", "{%", "a{#b",
    "{{ '}}' }}", "{% set a = '%}' %}{{ a }}", "{{ \"{{\" }}", "  {% for x in l %}\n  {{ x }}\n  {% endfor %}\nend",
    "{% for x in l -%}\n{{ x }}\n{%- endfor %}", "{%- for x in l %}\n\n{{ x }}{% endfor -%}\n\n end",
    "x {# a\nb #} y\n {# c #} \n z", "{%\nset x\n=\n1\n%}{{x}}", "{{ 1 }}\n", "{{ 1 }}\n\n", "",
    "  {% if true %}a{% endif %}\n  {%- set z = 1 %}\n  b", "a\x0b\x0c {%- if 1 %}b{% endif %}", "\x0c{% if 1 %}b{% endif %}",
    "{%-%}", "{{}}", "{% %}", "{{ a b }}", "{% if 1 %}{% else %}{% else %}{% endif %}", "{% endif %}",
    "a {%- if 1 %} {{- 2 }} {%- endif %} b", "{{-1}}", "{{ -1 }}", "{{- -1 }}", "{{ 1 +}}",
]


def rendered(source, variables):
    try:
        return {"text": chat_template_utils._compile_jinja_template(source).render(**variables)}
    except Exception as failure:
        return {"error": f"{type(failure).__name__}: {failure}"[:120]}


def main():
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    chats = []
    for name, source in TEMPLATES.items():
        for i, conversation in enumerate(CONVERSATIONS):
            if name != "qwen2.5" and "tools" in conversation:
                continue
            chats.append({"template": name, "conversation": i, **rendered(source, {
                "tools": None, "documents": None, "add_generation_prompt": False, **tokens, **conversation})})
    snippets = [{"source": s, **rendered(s, VARIABLES)} for s in SNIPPETS.splitlines() + LINES]
    whole = {"now": NOW, "tokens": tokens, "templates": TEMPLATES, "conversations": CONVERSATIONS, "chats": chats,
             "variables": VARIABLES, "snippets": snippets}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump(whole, out, ensure_ascii=False, indent=0)
        out.write("\n")


if __name__ == "__main__":
    main()
