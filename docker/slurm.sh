#!/usr/bin/env bash
# A search on SLURM: sbatch docker/slurm.sh CONFIG [OPTION of `evosearch run`]...
#
# Submit it from a folder that every node sees; the journal and all else lie in its runs/, unless EVOSEARCH_HOME or
# --storage says otherwise. Before its time is up the search is stopped and the job queued again, and goes on where it
# stood; so it does after a lost node or a preemption, where SLURM itself queues the job again (--requeue).
#
#SBATCH --job-name=evosearch
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=2
#SBATCH --mem=0
# Where nodes have more GPUs, ask for them. Whole nodes: `ray stop`, with which symmetric-run ends, ends every Ray of
# yours on a node.
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# To this script alone, two minutes before the end; TERM is what scancel and preemption send, after which nothing is
# to be queued again from here.
#SBATCH --signal=B:USR1@120
set -euo pipefail

if [ "$#" -eq 0 ]; then
    echo "usage: sbatch ${BASH_SOURCE[0]} CONFIG [OPTION of evosearch run]..." >&2
    exit 2
fi

# sbatch brings the submitter's environment with it; another cluster's address or token must not win.
unset RAY_ADDRESS RAY_API_SERVER_ADDRESS RAY_AUTH_TOKEN

umask 077
state=$(mktemp -d "$SLURM_SUBMIT_DIR/.evosearch-$SLURM_JOB_ID-XXXXXX")
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$state/token"
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=$state/token
export RAY_USAGE_STATS_ENABLED=0
export RAY_TMPDIR=/tmp/evosearch-$SLURM_JOB_ID # short, since the paths of sockets are; and nobody else's
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
export EVOSEARCH_HOME=${EVOSEARCH_HOME:-$SLURM_SUBMIT_DIR/runs}
export STATE=$state

# This script runs on the first node, which becomes the head.
ip=${HEAD_IP:-$(hostname -I | cut -d ' ' -f 1)}
address=$ip:$((20000 + SLURM_JOB_ID % 10000))

on_each_node() {
    srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --overlap "$@"
}

# shellcheck disable=SC2329 # called by a trap
clean_up() {
    rm -rf "$state"
    on_each_node rm -rf "$RAY_TMPDIR" || true
}
trap clean_up EXIT

# shellcheck disable=SC2329 # called by traps
stop_driver() {
    if [ -s "$state/driver" ]; then
        kill -TERM "$(cat "$state/driver")" || true
    elif [ -n "$nodes" ]; then # still waiting for its nodes
        kill -TERM "$nodes" || true
    fi
}
nodes=
time_is_up=no
trap 'time_is_up=yes; stop_driver' USR1
trap stop_driver TERM

# shellcheck disable=SC2016 # expanded on the nodes
on_each_node bash -c 'mkdir -p "$RAY_TMPDIR/ray" && test -O "$RAY_TMPDIR" && chmod 700 "$RAY_TMPDIR" &&
    exec ray symmetric-run "$@"' ray \
    --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" -- \
    bash -c '"$@" & echo $! >"$STATE/driver"; wait $!; echo $? >"$STATE/status"' driver \
    evosearch run "$@" --address "$address" &
nodes=$!

# The end of the driver is the end: other nodes would wait for a lost head for a minute. `wait`, and not `sleep`, since
# a signal that comes ends it at once.
failed=0
while [ ! -s "$state/status" ] && kill -0 "$nodes" 2>/dev/null; do
    sleep 1 &
    wait $! || true
done
for ((seconds = 0; seconds < 15; seconds++)); do # for what it printed last
    kill -0 "$nodes" 2>/dev/null || break
    sleep 1
done
kill "$nodes" 2>/dev/null || wait "$nodes" || failed=$?
status=$(cat "$state/status" 2>/dev/null || echo "$failed")

if [ "$time_is_up" = yes ] && { [ "$status" -eq 75 ] || [ ! -s "$state/driver" ]; }; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
