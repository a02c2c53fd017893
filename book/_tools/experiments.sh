#!/bin/sh
# The experiments with many seeds, from nothing, into runs/: hours on a CPU.
#   DEVICE=cuda sh book/_tools/experiments.sh
# A run that is there already is resumed, so the script may be stopped and started again.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
device=${DEVICE:-cpu}
runs=${RUNS:-runs}
task=copy

# run NAME OPTION...: train into $runs/NAME, or go on with it.
run() {
  name=$1
  shift
  if [ -e "$runs/$name/card.json" ]; then return; fi
  if [ -e "$runs/$name/settings.json" ]; then
    $python -m ntm resume "$runs/$name" --device "$device"
  else
    $python -m ntm train "$task" --out "$runs/$name" --device "$device" "$@"
  fi
}

# try NAME LENGTHS LOCATIONS SEQUENCES: all seeds, but those that fail go no further.
try() {
  $python -m ntm select "$runs/$1" --length $2 --memory-locations "$3" --sequences "$4" \
    --give-up 0.01 --device "$device"
}

# The reported seeds of book/protocol.md, and what is published of them.
few="--training-locations 6 10 14 18 22 22 64 --training-strengths 0.5 1"
for controller in feedforward lstm; do
  run "reported-$controller" --controller "$controller" --seeds 1000:1032 --sequences 40000 \
    $few --evaluate-every 1000
  $python book/_tools/count.py "copy-$controller" --keep "$runs/reported-$controller" --store --most 1000
  $python book/_tools/count.py "copy-$controller" --ship
  $python book/_tools/write_slips.py "copy-$controller" >"book/machines/copy-$controller/slips.csv"
done
# A read head that loses its place, step by step.
$python book/_tools/write_slips.py copy-feedforward --lost 1000 8 >book/machines/copy-feedforward/lost-step.csv

# The same seeds once more on a GPU, and 128 others. (The published ones were not finished.)
for controller in feedforward lstm; do
  run "gpu-$controller" --eager --controller "$controller" --seeds 1000:1032 --sequences 40000 \
    $few --evaluate-every 1000
  $python book/_tools/count.py "copy-$controller-gpu" --keep "$runs/gpu-$controller" --store \
    --most 1000 --device "$device"
done
run further --eager --controller feedforward --seeds 2000:2128 --sequences 40000 $few \
  --evaluate-every 1000

# Other models at the same task.
$python book/_tools/who_can_copy.py --keep "$runs/who"

# The same without a part, 16 of these seeds.
for part in content gate shift sharpening; do
  $python book/_tools/ablations.py train copy --model "no-$part" --controller feedforward \
    --seeds 1000:1016 --sequences 40000 $few --evaluate-every 1000 --out "$runs/no-$part"
done
for model in uniform rows; do
  $python book/_tools/ablations.py train copy --model "$model" --controller feedforward \
    --seeds 1000:1016 --sequences 40000 $few --evaluate-every 1000 --out "$runs/$model"
done
run raw --controller feedforward --seeds 1000:1016 --sequences 40000 $few \
  --evaluate-every 1000 --ema-decay 0

# Associative recall: development, then reported seeds.
task=associative-recall
for controller in lstm feedforward; do
  run "recall-dev-$controller" --controller "$controller" --seeds 0:8 \
    --sequences 40000 --training-locations 32 64 --evaluate-every 1000
done
run reported-recall-lstm --controller lstm --seeds 1000:1016 \
  --sequences 60000 --training-locations 32 64 --evaluate-every 1000
$python book/_tools/count.py recall-lstm --keep "$runs/reported-recall-lstm" --store
$python book/_tools/count.py recall-lstm --ship
# How many items there are when a feed-forward controller learns, and with how many heads.
# fewer NAME OPTION...: eight development seeds.
fewer() {
  name=$1
  shift
  run "recall-dev-$name" --seeds 0:8 --sequences 20000 --training-locations 32 64 \
    --hold-until 0.6 --decay-until 1 --evaluate-every 1000 "$@"
}
for fewest in 2 3 4 5; do
  fewer "ff-${fewest}6" --controller feedforward --task.fewest-items "$fewest"
done
fewer ff-h4 --controller feedforward --num-heads 4
fewer lstm-56 --controller lstm --task.fewest-items 5
run reported-recall-at-once --controller feedforward --seeds 1000:1016 --sequences 40000 \
  --training-locations 32 64 --evaluate-every 1000 --hold-until 0.4 --decay-until 1 --task.fewest-items 5
$python book/_tools/count.py recall-feedforward-at-once --keep "$runs/reported-recall-at-once" --store
# Shorter items first.
# shorter NAME CONTROLLER SEEDS VECTORS FIRST SEQUENCES: stages with items of so many, then three vectors.
shorter() {
  rooms="--training-locations 32 64 128 --decay-until 1 --evaluate-every 1000"
  # shellcheck disable=SC2086
  {
    run "recall-$1-first" --controller "$2" --seeds "$3" $rooms --task.fewest-items 5 \
      --task.item-length "$4" --sequences "$5" --hold-until 0.98
    run "recall-$1" --controller "$2" --seeds "$3" $rooms --sequences "$6" --hold-until 0.5 \
      --init-from "$runs/recall-$1-first"
  }
}
# (The second and the last of these five were stopped soon after the 20,000 that are told.)
shorter one-10 feedforward 0:8 1 10000 30000
shorter one-20 feedforward 0:8 1 20000 40000
shorter two-10 feedforward 0:8 2 10000 25000
shorter two-20 feedforward 0:8 2 20000 20000
shorter two-20-lstm lstm 0:8 2 20000 40000
$python book/_tools/write_recall.py --shorter "$runs"/recall-one-10 "$runs"/recall-one-20 \
  "$runs"/recall-two-10 "$runs"/recall-two-20 "$runs"/recall-two-20-lstm
shorter reported-feedforward feedforward 1016:1032 2 20000 40000
$python book/_tools/count.py recall-feedforward --keep "$runs/recall-reported-feedforward" --store
# With a lean, and with the same sequences otherwise shared among the two stages.
lean="--forward-bias 3 --gate-bias -2"
for controller in feedforward lstm; do
  # shellcheck disable=SC2086
  {
    fewer "$controller-26-lean" --controller "$controller" $lean
    fewer "$controller-56-lean" --controller "$controller" --task.fewest-items 5 $lean
  }
done
fewer ff-56-forward --controller feedforward --task.fewest-items 5 --forward-bias 3
$python book/_tools/write_recall.py --fewest "$runs"/recall-dev-ff-26 "$runs"/recall-dev-ff-36 \
  "$runs"/recall-dev-ff-46 "$runs"/recall-dev-ff-56 "$runs"/recall-dev-ff-h4 "$runs"/recall-dev-lstm-56 \
  "$runs"/recall-dev-feedforward-26-lean "$runs"/recall-dev-feedforward-56-lean \
  "$runs"/recall-dev-ff-56-forward "$runs"/recall-dev-lstm-26-lean "$runs"/recall-dev-lstm-56-lean
# shellcheck disable=SC2086
run reported-recall-lstm-lean --controller lstm --seeds 1032:1048 --sequences 40000 \
  --training-locations 32 64 --hold-until 0.5 --decay-until 1 --evaluate-every 1000 $lean
$python book/_tools/count.py recall-lstm-lean --keep "$runs/reported-recall-lstm-lean" --store
shorter reported-feedforward-longer feedforward 1032:1048 2 40000 20000
$python book/_tools/count.py recall-feedforward-longer \
  --keep "$runs/recall-reported-feedforward-longer" --store
$python book/_tools/write_recall.py
# And without a memory; what book/recall/alone.csv tells of.
for rate in 1e-3 3e-3 1e-2; do
  run "recall-alone-$rate" --model baseline --baseline-layers 1 --baseline-size 128 --seeds 0:4 \
    --sequences 40000 --batch-size 16 --learning-rate "$rate" --ema-decay 0.99 --hold-until 0.5 \
    --decay-until 1 --evaluate-every 4000
done
task=copy

# Repeat copy in stages: at first 1 repeat, then up to 2, 4, 7, and all there are.
task=repeat-copy
# stage NAME OPTIONS SO_FAR SEQUENCES HOLD [BEFORE]: with the machines of the one before.
stage() {
  # shellcheck disable=SC2086
  run "$1-$3" $2 --controller-size 48 --training-locations 12 16 24 32 64 128 \
    --warmup-until 0.02 --hold-until "$5" --decay-until 1 --evaluate-every 2000 \
    --task.so-far "$3" --sequences "$4" ${6:+--init-from "$runs/$1-$6"}
}
# stages NAME OPTIONS TWO FOUR SEVEN: all five, those in the middle of so many sequences.
stages() {
  stage "$1" "$2" 1 10000 0.98
  stage "$1" "$2" 2 "$3" 0.98 1
  stage "$1" "$2" 4 "$4" 0.98 2
  stage "$1" "$2" 7 "$5" 0.98 4
  stage "$1" "$2" 0 50000 0.3 7
  $python book/_tools/count.py "$1" --keep "$runs/$1-0" --store
}
stages repeat-lstm "--controller lstm --seeds 1000:1016" 4000 6000 8000
stages repeat-feedforward "--controller feedforward --seeds 1000:1016" 6000 8000 20000
$python book/_tools/write_repeat.py "$runs"/repeat-lstm-1 "$runs"/repeat-lstm-2 \
  "$runs"/repeat-lstm-4 "$runs"/repeat-lstm-7 "$runs"/repeat-lstm-0 >book/repeat/stages.csv
$python book/_tools/write_repeat.py "$runs"/repeat-feedforward-1 "$runs"/repeat-feedforward-2 \
  "$runs"/repeat-feedforward-4 "$runs"/repeat-feedforward-7 "$runs"/repeat-feedforward-0 \
  >book/repeat/stages-feedforward.csv
$python book/_tools/count.py repeat-lstm --ship
# The LSTM without a memory through the stages of the machine with an LSTM, at three rates.
for rate in 1e-3 3e-3 1e-2; do
  before=
  for stage in "1 10000 0.98" "2 4000 0.98" "4 6000 0.98" "7 8000 0.98" "0 50000 0.3"; do
    # shellcheck disable=SC2086
    set -- $stage
    run "repeat-alone-$rate-$1" --model baseline --baseline-layers 1 --baseline-size 128 --seeds 0:4 \
      --learning-rate "$rate" --warmup-until 0.02 --hold-until "$3" --decay-until 1 \
      --evaluate-every 2000 --task.so-far "$1" --sequences "$2" \
      ${before:+--init-from "$runs/repeat-alone-$rate-$before"}
    before=$1
  done
  $python book/_tools/write_repeat.py "$runs/repeat-alone-$rate-1" "$runs/repeat-alone-$rate-2" \
    "$runs/repeat-alone-$rate-4" "$runs/repeat-alone-$rate-7" "$runs/repeat-alone-$rate-0" \
    >"book/repeat/alone-$rate.csv"
done
task=copy

# Dynamic n-grams in stages, contexts of 2 bits, of 3 and of 5; the LSTM without a memory the
# same way. The machines begin with a lean: a write head that walks.
task=n-grams
# grams NAME STAGE SEEDS OPTIONS CONTEXT LENGTH SEQUENCES HOLD RATE [BEFORE]
grams() {
  # shellcheck disable=SC2086
  run "$1-$2" $4 --seeds "$3" --task.context "$5" --task.length "$6" --sequences "$7" \
    --hold-until "$8" --decay-until 1 --learning-rate "$9" --evaluate-every 2000 \
    ${10:+--init-from "$runs/$1-${10}"}
}
machine="--controller lstm --memory-locations"
# What a lean does, development seeds.
grams ngrams-dev 2 0:8 "$machine 64" 2 60 16000 0.9 1e-3
grams ngrams-dev-forward 2 0:4 "$machine 64 --forward-bias 3" 2 60 16000 0.9 1e-3
grams ngrams-dev-lean 2 0:8 "$machine 64 $lean" 2 60 16000 0.9 1e-3
$python book/_tools/write_ngrams.py --lean "$runs/ngrams-dev-2" "$runs/ngrams-dev-forward-2" \
  "$runs/ngrams-dev-lean-2"
# A first recipe with it, one on the way, which was looked at and not counted, and the last.
wide="$machine 256 --training-locations 208"
grams ngrams-lstm-shorter 2 1008:1016 "$machine 64 $lean" 2 60 16000 0.9 1e-3
grams ngrams-lstm-shorter 3 1008:1016 "$machine 128" 3 100 12000 0.9 1e-3 2
grams ngrams-lstm-shorter 5 1008:1016 "$wide" 5 200 16000 0.4 1e-3 3
grams ngrams-on-the-way 2 1016:1024 "$machine 64 $lean" 2 60 24000 0.9 1e-3
grams ngrams-on-the-way 3 1016:1024 "$machine 128" 3 100 12000 0.9 1e-3 2
grams ngrams-on-the-way 5 1016:1024 "$wide" 5 200 12000 0.35 7e-4 3
grams ngrams-lstm 2 1024:1032 "$machine 64 $lean" 2 60 24000 0.9 1e-3
grams ngrams-lstm 3 1024:1032 "$machine 128" 3 100 12000 0.9 1e-3 2
grams ngrams-lstm 5 1024:1032 "$wide" 5 200 32000 0.4 7e-4 3
# Those of before: no lean, less room, the last stage in two runs.
grams ngrams-lstm-no-lean 2 1000:1008 "$machine 48" 2 60 16000 0.9 1e-3
grams ngrams-lstm-no-lean 3 1000:1008 "$machine 48" 3 100 12000 0.9 1e-3 2
grams ngrams-lstm-no-lean 5 1000:1008 "$machine 128" 5 200 20000 0.5 5e-4 3
grams ngrams-lstm-no-lean 6 1000:1008 "$machine 128" 5 200 20000 0.4 5e-4 5
alone="--model baseline --baseline-layers 1 --baseline-size 128"
grams ngrams-baseline 2 1000:1008 "$alone" 2 60 16000 0.9 1e-3
grams ngrams-baseline 3 1000:1008 "$alone" 3 100 12000 0.9 1e-3 2
grams ngrams-baseline 5 1000:1008 "$alone" 5 200 16000 0.5 5e-4 3
for name in ngrams-lstm-5 ngrams-lstm-shorter-5 ngrams-lstm-no-lean-6 ngrams-baseline-5; do
  $python book/_tools/count.py "${name%-?}" --keep "$runs/$name" --store
done
$python book/_tools/count.py ngrams-lstm --ship
$python book/_tools/write_ngrams.py
# And at once, four development seeds; the first 13,000 sequences are in book/ngrams/at-once.csv.
run ngrams-at-once --controller lstm --seeds 0:4 --sequences 20000 --memory-locations 64 \
  --evaluate-every 1000

# Priority sort in stages: a delimiter before the answer, and a write head that walks.
task=priority-sort
# order NAME STAGE BEFORE SEEDS SEQUENCES HOLD OPTIONS...; no BEFORE is -
order() {
  name=$1-$2 before=$1-$3 seeds=$4 sequences=$5 hold=$6
  if [ "$3" = - ]; then before=; fi
  shift 6
  run "$name" --controller feedforward --seeds "$seeds" ${before:+--init-from "$runs/$before"} \
    --sequences "$sequences" --hold-until "$hold" --decay-until 1 --evaluate-every 4000 "$@"
}
four="--memory-locations 32 --task.vectors 4 --task.highest 1"
eight="--memory-locations 10 --task.vectors 8 --task.highest 6"
rooms="--memory-locations 128 --training-locations"
delimiter="--task.delimiter true"
# shellcheck disable=SC2086
{
  # Development, with both, and with one of the two; the last stage was stopped after 32,000.
  order sort-dev 4 - 0:4 16000 0.95 $four $delimiter $lean
  order sort-dev 8 4 0:4 40000 0.95 $eight $delimiter
  order sort-dev 20-full 8 0:4 60000 0.6 $rooms 23 23 32 128 $delimiter
  order sort-dev 20 8 0:4 120000 0.5 $rooms 23 23 32 128 $delimiter --learning-rate 5e-4
  order sort-dev-no-lean 4 - 0:4 16000 0.95 $four $delimiter
  order sort-dev-no-lean 8 4 0:4 40000 0.95 $eight $delimiter
  order sort-dev-no-delimiter 4 - 0:4 16000 0.95 $four $lean
  order sort-dev-no-delimiter 8 4 0:4 40000 0.95 $eight
  order sort 4 - 1016:1024 16000 0.95 $four $delimiter $lean
  order sort 8 4 1016:1024 40000 0.95 $eight $delimiter
  order sort 20 8 1016:1024 80000 0.4 $rooms 23 23 32 128 $delimiter --learning-rate 5e-4
}
# Those of before had no delimiter, and learned to copy first.
task=copy
for seeds in 0:4 1008:1016; do
  run "sort-plain-$seeds-copy" --controller feedforward --seeds "$seeds" --memory-locations 32 \
    --sequences 8000 --hold-until 0.98 --decay-until 1 --evaluate-every 1000
done
task=priority-sort
# shellcheck disable=SC2086
{
  for seeds in 0:4 1008:1016; do
    order "sort-plain-$seeds" 4 copy "$seeds" 12000 0.95 $four
    order "sort-plain-$seeds" 8 4 "$seeds" 40000 0.95 $eight
  done
  order sort-plain-1008:1016 20 8 1008:1016 60000 0.98 $rooms 22 22 32 128
  order sort-plain-1008:1016 20-again 20 1008:1016 60000 0.98 --warmup-until 0.01 $rooms 22 22 32 128
  order sort-plain-1008:1016 20-slow 20-again 1008:1016 240000 0.4 --warmup-until 0.01 \
    --learning-rate 5e-4 $rooms 22 22 32 128
}
run sort-baseline --model baseline --baseline-layers 1 --baseline-size 128 --seeds 1008:1016 \
  --sequences 240000 --batch-size 16 --learning-rate 3e-3 --ema-decay 0.99 --hold-until 0.5 \
  --decay-until 1 --evaluate-every 8000
$python book/_tools/count.py sort-feedforward --keep "$runs/sort-20" --store
$python book/_tools/count.py sort-no-delimiter --keep "$runs/sort-plain-1008:1016-20-slow" --store
$python book/_tools/count.py sort-baseline --keep "$runs/sort-baseline" --store
$python book/_tools/count.py sort-feedforward --ship
$python book/_tools/write_sort.py
$python book/_tools/write_sort.py --stages "$runs/sort-plain-0:4-8" "$runs/sort-dev-no-lean-8" \
  "$runs/sort-dev-no-delimiter-8" "$runs/sort-dev-8" "$runs/sort-dev-20-full" "$runs/sort-dev-20"

# At once, four development seeds each: what book/sort/tried.csv tells of.
task=priority-sort
# sorting VECTORS HIGHEST CONTROLLER HEADS WIDTH LOCATIONS BATCH RATE SEQUENCES HOLD
sorting() {
  run "sort-$1-$3-$4-$7-$8" --seeds 0:4 --task.vectors "$1" --task.highest "$2" --controller "$3" \
    --num-heads "$4" --memory-width "$5" --memory-locations "$6" --batch-size "$7" \
    --learning-rate "$8" --sequences "$9" --hold-until "${10}" --decay-until 1 --evaluate-every 8000
}
sorting 4 3 lstm 1 20 32 4 1e-3 12000 0.9
sorting 4 3 feedforward 1 20 32 4 1e-3 20000 0.9
sorting 4 3 feedforward 4 20 32 4 1e-3 20000 0.9
sorting 4 3 feedforward 1 20 16 16 3e-3 51200 0.7
sorting 4 3 feedforward 2 48 16 16 3e-3 51200 0.7
sorting 4 3 feedforward 4 20 16 16 3e-3 51200 0.7
sorting 20 16 feedforward 4 20 32 4 1e-3 20000 0.9
sorting 20 16 feedforward 4 20 32 16 2e-3 48000 0.9
sorting 20 16 feedforward 4 20 32 16 5e-3 24000 0.9
task=copy

# Development, seeds 0 to 31.  Runs L and M of "What makes it learn".
for controller in lstm feedforward; do
  run "l-$controller" --controller "$controller" --seeds 0:32 --sequences 40000 \
    --training-locations 6 10 14 18 22 22 32 64 128 --evaluate-every 1000
  run "m-$controller" --controller "$controller" --seeds 0:32 --sequences 40000 \
    $few --evaluate-every 1000
done
run m-32 --controller lstm --controller-size 32 --seeds 0:32 --sequences 40000 $few \
  --evaluate-every 1000

# Thirty-two seeds of each controller; then a second, shorter stage with few locations.
second="--learning-rate 3e-4 --warmup-until 0.05 --hold-until 0.5 --decay-until 1 --sequences 24000"
for controller in lstm feedforward; do
  run "$controller-first" --controller "$controller" --seeds 0:32
  run "copy-$controller" --controller "$controller" --seeds 0:32 --init-from "$runs/$controller-first" \
    --training-locations 22 $second
  try "copy-$controller" "10 20 30 50 80 120" 128 100
  try "copy-$controller" "200 500 1000" 1024 5
  try "copy-$controller" 1000 2048 5
  try "copy-$controller" 2000 4096 1
  try "copy-$controller" 5000 8192 1
  try "copy-$controller" 10000 16384 1
done

# A quarter of the sequences uneven, not half.
for controller in lstm feedforward; do
  run "k-quarter-$controller" --controller "$controller" --seeds 0:32 --task.biased-share 0.25
done

# The LSTM without a memory, for comparison, one seed after the other: side by side they are
# slower.  First development seeds in batches of 32 (as many as there was time for), then
# reported ones in batches of 8.  And the paper's own recipe.
# alone NAME BATCH SEQUENCES SEED...
alone() {
  what=$1 batch=$2 sequences=$3  # `run` has a name of its own
  shift 3
  for seed; do
    run "$what-$seed" --model baseline --seeds "$seed" --sequences "$sequences" --batch-size "$batch" \
      --evaluate-every 1600 --ema-decay 0.995 --hold-until 0.5 --decay-until 1 --clip-usual inf \
      --task.biased-share 0
  done
}
alone baseline 32 200000 1 2 3 4 5 6 7 8 9 10 11 12 13 14
alone baseline-eights 8 96000 1000 1001 1002
run paper --controller lstm --seeds 1000:1016 --sequences 36000 --batch-size 1 --optimizer rmsprop \
  --learning-rate 1e-4 --warmup-until 0 --hold-until 0.999 --decay-until 1 --clip-usual inf \
  --clip-norm inf --clip-component 10 --task.biased-share 0 --evaluate-every 1000
