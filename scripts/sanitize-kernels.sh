#!/bin/sh
# Run the CUDA kernel's tests under compute-sanitizer, once with each of its tools: sh scripts/sanitize-kernels.sh PYTHON
# Wants a CUDA GPU and compute-sanitizer (part of the CUDA toolkit) on PATH; says what is missing, and fails, without.
set -u

python=${1:-python}
if ! command -v compute-sanitizer >/dev/null 2>&1; then
    echo "compute-sanitizer is not on PATH: install the CUDA toolkit, or add its bin folder to PATH." >&2
    exit 2
fi
if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "$python has no torch that finds a CUDA GPU: nothing was checked." >&2
    exit 2
fi
failed=""
for tool in memcheck racecheck initcheck synccheck; do
    echo "== $tool"
    # graphs and times are left out: a tool holds every launch up
    compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 1 \
        "$python" -m pytest -q -p no:cacheprovider -m cuda -k "drawings or batch" \
        tests/kernels/test_connected_components.py || failed="$failed $tool"
done
if [ -n "$failed" ]; then
    echo "Not clean:$failed" >&2
    exit 1
fi
