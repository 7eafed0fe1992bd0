# Allows io_uring in a seccomp profile, for `nuthatch: engine: io_uring`. Docker's default
# profile does not, and is a file of Docker's: moby/profiles, seccomp/default.json.
#
#   jq -f examples/docker/io_uring.jq default.json > nuthatch-seccomp.json
#   docker run --security-opt seccomp=nuthatch-seccomp.json ...
.syscalls |= [{names: ["io_uring_setup", "io_uring_enter", "io_uring_register"], action: "SCMP_ACT_ALLOW"}] +
  [.[] | .names |= map(select(startswith("io_uring_") | not)) | select(.names | length > 0)]
