#!/usr/bin/env bash
# Ends what up.sh started, by process id, its jobs first. With --purge also forgets jobs, accounting and configuration (packages stay).
set -uo pipefail
RUN=/run/japagen-slurm SPOOL=/var/spool/japagen-slurm LOG=/var/log/japagen-slurm
[ -n "${JAPAGEN_SLURM_LOCKED:-}" ] || exec env JAPAGEN_SLURM_LOCKED=1 flock -o /run/japagen-slurm.lock bash "$0" "$@"

running() { local state; state=$(ps -o stat= -p "$1" 2> /dev/null) && [ -n "$state" ] && [ "${state:0:1}" != Z ]; }  # a zombie isn't: pid 1 may never reap it
no_jobs() { [ -z "$(timeout 10 squeue -h -t R,CG,S 2> /dev/null)" ]; }

# PIDFILE NAME: the pid may be another's by now, so its name is looked at
stop() {
  [ -s "$1" ] || return 0
  local pid
  pid=$(cat "$1")
  if [ "$(ps -o comm= -p "$pid" 2> /dev/null)" = "$2" ]; then
    kill "$pid"
    for _ in $(seq 150); do running "$pid" || break; sleep 0.1; done
    if running "$pid"; then echo "pid $pid ($2) did not stop and is killed"; kill -9 "$pid"; fi
  fi
  rm -f "$1"
}

if [ -s $RUN/slurmctld.pid ] && timeout 10 scancel --user="$(id -un)" 2> /dev/null; then
  for _ in $(seq 50); do no_jobs && break; sleep 0.1; done  # a slurmd that is stopped first leaves its jobs' processes behind
fi
for file in $RUN/slurmd-n*.pid; do stop "$file" slurmd; done
for name in slurmctld slurmdbd mariadbd munged; do stop $RUN/$name.pid $name; done
if [ "${1:-}" = --purge ]; then rm -rf $SPOOL $LOG $RUN /etc/slurm/{slurm,gres,slurmdbd,cgroup}.conf; fi
left=$(ps -eo pid,stat,args | awk '$2 !~ /^Z/' | grep -E '[s]lurm(d|ctld|dbd)( |$)|[m]unged|[m]ariadbd') || { echo "all down"; exit 0; }
echo "still running:"; echo "$left"; exit 1
