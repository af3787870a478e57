#!/usr/bin/env bash
# Brings up a real SLURM cluster of several simulated nodes on ONE Debian 12 machine, as root, without systemd. For trying and testing.
# Idempotent: on a healthy cluster it does nothing; on a half-dead one it starts what is missing. down.sh ends it.
#
#   JAPAGEN_SLURM_NODES=4      slurmd daemons (nodes n1..nN), all on this host
#   JAPAGEN_SLURM_CPUS=4       CPUs each node *claims* (config_overrides: may exceed the hardware)
#   JAPAGEN_SLURM_MEM=6000     MiB each node claims
#   JAPAGEN_SLURM_GPUS=2       fake GPUs per node (0: none)
#   JAPAGEN_SLURM_ACCT=dbd     dbd: slurmdbd and a private MariaDB (sacct works; submitit needs this)
#                              none: no accounting (sacct exits 1)
#   JAPAGEN_SLURM_GRACE=0      GraceTime (s) of partition 'low' before a preempted job is killed
#   JAPAGEN_SLURM_TRACK=       cgroup | linuxproc (default: cgroup where cgroup v1 is mounted)
#   JAPAGEN_SLURM_FRESH=1      forget every earlier job (slurmctld -c); default: state is kept
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
NODES=${JAPAGEN_SLURM_NODES:-4}
CPUS=${JAPAGEN_SLURM_CPUS:-4}
MEM=${JAPAGEN_SLURM_MEM:-6000}
GPUS=${JAPAGEN_SLURM_GPUS:-2}
ACCT=${JAPAGEN_SLURM_ACCT:-dbd}
GRACE=${JAPAGEN_SLURM_GRACE:-0}
FRESH=${JAPAGEN_SLURM_FRESH:-0}
RUN=/run/japagen-slurm SPOOL=/var/spool/japagen-slurm LOG=/var/log/japagen-slurm DB_PORT=33306
HOST=$(uname -n); HOST=${HOST%%.*}

[ "$(id -u)" = 0 ] || { echo "up.sh must run as root: it installs packages and starts daemons" >&2; exit 1; }
command -v apt-get > /dev/null || { echo "up.sh knows Debian only: there is no apt-get here" >&2; exit 1; }
# One at a time; -o: the daemons must not inherit the lock
[ -n "${JAPAGEN_SLURM_LOCKED:-}" ] || exec env JAPAGEN_SLURM_LOCKED=1 flock -o /run/japagen-slurm.lock bash "$0" "$@"

# cgroup v1 (freezer + memory): whole process trees die with their job, and memory limits bite.
# Otherwise linuxproc: a server whose Python parent died first, or that forked twice, outlives its job.
if [ -d /sys/fs/cgroup/freezer ] && [ -d /sys/fs/cgroup/memory ]; then track=cgroup; else track=linuxproc; fi
TRACK=${JAPAGEN_SLURM_TRACK:-$track}
if [ "$TRACK" = cgroup ]; then TASK=cgroup; else TASK=none; fi

say() { printf '[%3ds] %s\n' "$SECONDS" "$*"; }
running() { local state; state=$(ps -o stat= -p "$1" 2> /dev/null) && [ -n "$state" ] && [ "${state:0:1}" != Z ]; }  # a zombie isn't: pid 1 may never reap it
gone() { ! running "$1"; }
alive() { [ -s "$1" ] && running "$(cat "$1")" && [ "$(ps -o comm= -p "$(cat "$1")")" = "$2" ]; }  # PIDFILE NAME: the pid may be another's by now
wait_for() { local n=$1; shift; for _ in $(seq "$n"); do "$@" > /dev/null 2>&1 && return 0; sleep 0.1; done; return 1; }  # TENTHS COMMAND
fail() { echo "$1 did not come up; see $2" >&2; exit 1; }

install_packages() {
  local want="munge slurmctld slurmd slurm-client" missing="" one log
  [ "$ACCT" != dbd ] || want+=" slurmdbd mariadb-server"
  for one in $want; do dpkg-query -W -f='${db:Status-Status}' "$one" 2> /dev/null | grep -qx installed || missing+=" $one"; done
  [ -n "$missing" ] || return 0
  log=$(mktemp)
  say "apt-get install$missing (log: $log)"
  # No service may start by itself: there is no systemd here, and the paths are our own
  if [ ! -e /usr/sbin/policy-rc.d ]; then printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; fi
  # shellcheck disable=SC2086
  apt-get install -y --no-install-recommends $missing > "$log" 2>&1 ||
    { apt-get update >> "$log" 2>&1 && apt-get install -y --no-install-recommends $missing >> "$log" 2>&1; } || fail "apt-get" "$log"
}

make_folders() {
  local n g
  mkdir -p $RUN/dev $SPOOL/ctld $LOG /etc/slurm
  install -d -o munge -g munge -m 755 /run/munge
  for n in $(seq "$NODES"); do mkdir -p "$SPOOL/n$n"; done
  # A GPU's File must be a *device* (a regular file is refused); the number at its end becomes CUDA_VISIBLE_DEVICES.
  # c 1 3 is a private /dev/null.
  for g in $(seq 0 $((GPUS - 1))); do [ -c "$RUN/dev/gpu$g" ] || mknod -m 666 "$RUN/dev/gpu$g" c 1 3; done
}

slurm_conf() {
  local gres="" n
  [ "$GPUS" = 0 ] || gres="Gres=gpu:$GPUS"
  cat <<CONF
# written by japagen's launch/cluster/up.sh
ClusterName=lab
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# a requeued job may only start again after cred_expire + 1 s (default 120; less than 5 is ignored)
AuthInfo=cred_expire=5
StateSaveLocation=$SPOOL/ctld
SlurmdSpoolDir=$SPOOL/%n
SlurmctldPidFile=$RUN/slurmctld.pid
SlurmdPidFile=$RUN/slurmd-%n.pid
SlurmctldLogFile=$LOG/slurmctld.log
SlurmdLogFile=$LOG/slurmd-%n.log
SlurmctldParameters=preempt_send_user_signal
ProctrackType=proctrack/$TRACK
TaskPlugin=task/$TASK
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=$((MEM / CPUS))
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1,default_queue_depth=1000,bf_max_job_test=1000
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MaxArraySize=10001
MaxJobCount=20000
KillWait=3
CompleteWait=0
MinJobAge=600
CONF
  if [ "$ACCT" = dbd ]; then
    printf '%s\n' AccountingStorageType=accounting_storage/slurmdbd AccountingStorageHost=127.0.0.1 AccountingStorageTRES=gres/gpu
  else
    echo AccountingStorageType=accounting_storage/none
  fi
  for n in $(seq "$NODES"); do
    echo "NodeName=n$n NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((17000 + n)) CPUs=$CPUS RealMemory=$MEM $gres State=UNKNOWN"
  done
  cat <<CONF
PartitionName=main Nodes=n[1-$NODES] Default=YES DefaultTime=60 MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=low  Nodes=n[1-$NODES] DefaultTime=60 MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=$GRACE
PartitionName=high Nodes=n[1-$NODES] DefaultTime=60 MaxTime=INFINITE State=UP PriorityTier=100 PreemptMode=OFF
CONF
}

# Sets `changed` where slurm.conf differs from the one in place: node list and ports may then differ.
write_configuration() {
  local new
  new=$(mktemp)
  slurm_conf > "$new"
  if cmp -s "$new" /etc/slurm/slurm.conf; then
    changed=0
  else
    if [ -e /etc/slurm/slurm.conf ] && ! grep -q "^# written by japagen's" /etc/slurm/slurm.conf; then
      echo "this machine has a SLURM of its own (/etc/slurm/slurm.conf): up.sh leaves it alone" >&2; rm -f "$new"; exit 1
    fi
    cp "$new" /etc/slurm/slurm.conf; changed=1
  fi
  rm -f "$new"
  if [ "$GPUS" -gt 0 ]; then echo "NodeName=n[1-$NODES] Name=gpu File=$RUN/dev/gpu[0-$((GPUS - 1))]"; fi > /etc/slurm/gres.conf
  cat > /etc/slurm/cgroup.conf <<CONF
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainCores=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=no
ConstrainDevices=no
CONF
  (umask 077; cat > /etc/slurm/slurmdbd.conf <<CONF
AuthType=auth/munge
DbdHost=$HOST
DbdAddr=127.0.0.1
SlurmUser=root
PidFile=$RUN/slurmdbd.pid
LogFile=$LOG/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$DB_PORT
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
CONF
  )
}

start_munge() {
  munge -n < /dev/null 2> /dev/null | unmunge > /dev/null 2>&1 && return 0
  say munged
  if [ ! -s /etc/munge/munge.key ]; then
    dd if=/dev/urandom of=/etc/munge/munge.key bs=128 count=1 status=none
    chown munge:munge /etc/munge/munge.key; chmod 600 /etc/munge/munge.key
  fi
  runuser -u munge -- /usr/sbin/munged --force
  cp /run/munge/munged.pid $RUN/munged.pid
  wait_for 50 sh -c 'munge -n < /dev/null | unmunge' || fail munged /var/log/munge/munged.log
}

start_database() {
  local socket=$SPOOL/mysql/s.sock
  alive $RUN/mariadbd.pid mariadbd && return 0
  say mariadbd
  if [ ! -d $SPOOL/mysql/mysql ]; then
    install -d -o mysql -g mysql -m 750 $SPOOL/mysql
    mariadb-install-db --no-defaults --user=mysql --datadir=$SPOOL/mysql --skip-test-db --auth-root-authentication-method=socket > $LOG/mariadb-install.log 2>&1
  fi
  # --no-defaults: a MariaDB that the machine has otherwise is left alone
  setsid mariadbd --no-defaults --user=mysql --datadir=$SPOOL/mysql --socket=$socket --pid-file=$SPOOL/mysql/mariadbd.pid \
    --port=$DB_PORT --bind-address=127.0.0.1 --innodb-flush-log-at-trx-commit=2 --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
    >> $LOG/mariadbd.log 2>&1 < /dev/null &
  echo $! > $RUN/mariadbd.pid
  wait_for 200 mariadb-admin --no-defaults --socket=$socket ping || fail mariadbd $LOG/mariadbd.log
  mariadb --no-defaults --socket=$socket -e "CREATE DATABASE IF NOT EXISTS slurm_acct_db;
    CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm'; CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'slurm';
    GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1'; GRANT ALL ON slurm_acct_db.* TO 'slurm'@'localhost';"
}

start_accounting() {
  start_database
  if ! alive $RUN/slurmdbd.pid slurmdbd; then
    say slurmdbd
    slurmdbd
    wait_for 300 sacctmgr -n list cluster || fail slurmdbd $LOG/slurmdbd.log
  fi
  # slurmctld must find its cluster registered, or its job records never reach the database
  [ -n "$(sacctmgr -nP list cluster lab format=cluster)" ] || sacctmgr -i add cluster lab > /dev/null
}

stop_for_new_configuration() {
  local file pid
  for file in $RUN/slurmd-n*.pid $RUN/slurmctld.pid; do
    if alive "$file" slurmd || alive "$file" slurmctld; then pid=$(cat "$file"); kill "$pid"; wait_for 150 gone "$pid" || true; fi
  done
}

start_slurm() {
  local n
  if ! alive $RUN/slurmctld.pid slurmctld; then
    say slurmctld
    if [ "$FRESH" = 1 ]; then slurmctld -i -c; else slurmctld -i; fi
  fi
  wait_for 100 scontrol ping || fail slurmctld $LOG/slurmctld.log
  for n in $(seq "$NODES"); do alive "$RUN/slurmd-n$n.pid" slurmd || slurmd -N "n$n"; done
  if ! wait_for 50 all_nodes_ready; then
    scontrol update nodename="n[1-$NODES]" state=resume 2> /dev/null || true
    wait_for 150 all_nodes_ready || { sinfo -N -l; sinfo -R; fail "a node" "$LOG/slurmd-n*.log"; }
  fi
}
all_nodes_ready() { [ "$(sinfo -hN -p main -t idle,mix,alloc -o %N | wc -l)" = "$NODES" ]; }

install_packages
make_folders
write_configuration
start_munge
[ "$ACCT" != dbd ] || start_accounting
[ "$changed" = 0 ] || stop_for_new_configuration
start_slurm
say "up: $(sinfo -h -p main -o '%D %T' | paste -sd,) of $NODES nodes"
sinfo
