#!/bin/bash
# A Slurm of two nodes on this machine, for tests: `cluster.sh start|node N|lose N|stop FOLDER`.
#
# slurmctld and munged run beside it; each slurmd has a network, a host name and process numbers of its own
# (ip netns, unshare), so that a node is lost as a machine is that loses its power: with all it runs.
# Each node has one processor, 4 GB, and one GPU that is none: enough to see how GPUs are asked for and given out.
# Needs root, and Debian's packages slurm-wlm, munge and iproute2 or the like.
set -euo pipefail

usage() { echo "usage: cluster.sh start FOLDER | node N FOLDER | lose N FOLDER | stop FOLDER" >&2; exit 2; }

bridge=slimbr
subnet=10.77.83

configure() {
    mkdir -p "$folder"/{state,spool/n1,spool/n2,log,run}
    chmod 755 "$folder" "$folder"/{state,spool,log,run}
    # Munge wants a key that nobody else reads.
    (umask 077; head -c 1024 /dev/urandom > "$folder/munge.key")
    cat > "$folder/slurm.conf" << END
ClusterName=slim
SlurmctldHost=$(hostname -s)($subnet.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=30
KillWait=10
MinJobAge=3600
JobRequeue=1
GresTypes=gpu
NodeName=n1 NodeAddr=$subnet.11 CPUs=1 RealMemory=4000 Gres=gpu:1
NodeName=n2 NodeAddr=$subnet.12 CPUs=1 RealMemory=4000 Gres=gpu:1
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
END
    # A device that every machine has stands for the GPU: Slurm only asks whether the file is there.
    echo "NodeName=n[1-2] Name=gpu File=/dev/zero" > "$folder/gres.conf"
}

network() {
    ip link add "$bridge" type bridge
    ip addr add "$subnet.1/24" dev "$bridge"
    ip link set "$bridge" up
    for n in 1 2; do
        ip netns add "slim-n$n"
        ip link add "slimv$n" type veth peer name eth0 netns "slim-n$n"
        ip link set "slimv$n" master "$bridge" up
        ip -n "slim-n$n" addr add "$subnet.1$n/24" dev eth0
        ip -n "slim-n$n" link set eth0 up
        ip -n "slim-n$n" link set lo up
    done
}

node() {
    # The first process of the node; when it is killed, the kernel ends all others of the node with it.
    nsenter --net="/run/netns/slim-n$1" unshare --uts --pid --mount --fork --kill-child --mount-proc \
        sh -c "hostname n$1 && exec slurmd -D -f '$folder/slurm.conf'" \
        > "$folder/log/node$1.out" 2>&1 < /dev/null &
    echo $! > "$folder/run/node$1.pid"
}

lose() {
    # `unshare` ends with --kill-child, and its child is process 1 of the node.
    kill -KILL "$(cat "$folder/run/node$1.pid")"
    rm "$folder/run/node$1.pid"
}

stop() {
    set +e
    for n in 1 2; do
        [ -e "$folder/run/node$n.pid" ] && lose "$n"
    done
    for daemon in slurmctld munged; do
        [ -e "$folder/run/$daemon.pid" ] && kill -KILL "$(cat "$folder/run/$daemon.pid")"
    done 2> /dev/null
    for n in 1 2; do
        ip netns delete "slim-n$n"
    done 2> /dev/null
    ip link delete "$bridge" 2> /dev/null
    return 0
}

start() {
    # What an earlier one left that was killed.
    stop
    configure
    network
    munged --force --key-file="$folder/munge.key" --socket="$folder/run/munge.socket" \
        --pid-file="$folder/run/munged.pid" --log-file="$folder/log/munged.log" \
        --seed-file="$folder/run/munged.seed" 2> "$folder/log/munged.out"
    slurmctld -c -f "$folder/slurm.conf" 2> "$folder/log/slurmctld.out"
    node 1
    node 2
    for _ in $(seq 60); do
        idle=$(SLURM_CONF="$folder/slurm.conf" sinfo --noheader --Node --format=%T 2> /dev/null | grep -c '^idle$' || true)
        [ "$idle" = 2 ] && return 0
        sleep 0.5
    done
    echo "the nodes do not come up: see $folder/log" >&2
    return 1
}

case "${1:-}" in
    start | stop) [ $# = 2 ] || usage; folder=$2; "$1" ;;
    node | lose) [ $# = 3 ] || usage; folder=$3; "$1" "$2" ;;
    *) usage ;;
esac
