#!/bin/bash
#SBATCH --job-name=$name
#SBATCH --nodes=$machines
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=$gpus
#SBATCH --cpus-per-task=$cpus
#SBATCH --time=$time
#SBATCH --output=%x-%j.log
#SBATCH --requeue
$extra
set -euo pipefail

# A requeued job resumes from the last whole checkpoint: the command is the same.
export MASTER_ADDR=$$(scontrol show hostnames "$$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_PORT=$${MASTER_PORT:-29500}

srun --kill-on-bad-exit=1 bash -c "$$(cat <<'END'
$command \
    --machine_rank "$$SLURM_NODEID" --main_process_ip "$$MASTER_ADDR" --main_process_port "$$MASTER_PORT" \
    -m octopack_train $recipe
END
)"
