#!/bin/bash
# A task computes one share of the run @RUN@; written by `@COMMAND@`.
@OPTIONS@
set -u
order=@FOLDER@/orders/$SLURM_ARRAY_TASK_ID.json
echo "task $SLURM_ARRAY_TASK_ID of job $SLURM_ARRAY_JOB_ID on $(hostname), begun ${SLURM_RESTART_COUNT:-0} times before"

# The worker stops between two batches when it is told to. Slurm sends USR1 to this script before the time
# limit; TERM comes with `scancel` and with preemption, and reaches the worker too.
why=
trap 'why=time; kill -TERM "$worker" 2> /dev/null' USR1
trap 'why=cancelled; kill -TERM "$worker" 2> /dev/null' TERM
@WORKER@ run --unattended --order "$order" &
worker=$!
# A signal ends `wait` early; the worker is waited for all the same.
while wait "$worker"; code=$?; [ "$code" -gt 128 ] && kill -0 "$worker" 2> /dev/null; do :; done
if [ -n "$why" ] && [ "$code" -gt 128 ]; then code=@STOPPED@; fi

# Back into the queue, but not for ever.
again() {
    if [ "${SLURM_RESTART_COUNT:-0}" -ge "$2" ]; then
        echo "$1; not queued again after $2 times: \`cargo xtask slurm\` submits what is left"
        return
    fi
    echo "$1; queued again for what is left"
    # Slurm ends this script when it takes the task back.
    scontrol requeue "$SLURM_JOB_ID" && sleep 60
}
if [ "$code" -eq @STOPPED@ ] && [ "$why" = time ]; then
    again "the time limit is near" @RESTARTS@
elif [ "$code" -gt 128 ] && [ -z "$why" ]; then
    again "the worker was killed by signal $((code - 128)); was there too little memory?" @RESTARTS_KILLED@
fi
exit "$code"
