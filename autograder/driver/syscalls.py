"""The system calls that are denied to a worker, by name and number. Numerical code needs none of them.

The numbers are those of Linux: of asm/unistd_64.h for x86_64, of asm-generic/unistd.h for aarch64.
"""

NEWEST = 462  # mseal, of Linux 6.10; whatever has been added after it is unknown here

TABLE = """
# name            x86_64 aarch64

# connections
socket                  41   198
connect                 42   203
bind                    49   200
listen                  50   201
accept                  43   202
accept4                288   242
setsockopt              54   208

# other processes
ptrace                 101   117
process_vm_readv       310   270
process_vm_writev      311   271
process_madvise        440   440
process_mrelease       448   448
pidfd_getfd            438   438
pidfd_send_signal      424   424
kcmp                   312   272
migrate_pages          256   238
move_pages             279   239

# namespaces and mounts
unshare                272    97
setns                  308   268
mount                  165    40
umount2                166    39
pivot_root             155    41
chroot                 161    51
open_tree              428   428
move_mount             429   429
fsopen                 430   430
fsconfig               431   431
fsmount                432   432
fspick                 433   433
mount_setattr          442   442
statmount              457   457
listmount              458   458

# identity
setuid                 105   146
setgid                 106   144
setreuid               113   145
setregid               114   143
setresuid              117   147
setresgid              119   149
setfsuid               122   151
setfsgid               123   152
setgroups              116   159
capset                 126    91
lsm_set_self_attr      460   460

# metadata of files, which Landlock leaves alone
chmod                   90     -
fchmod                  91    52
fchmodat               268    53
fchmodat2              452   452
chown                   92     -
fchown                  93    55
lchown                  94     -
fchownat               260    54
utime                  132     -
utimes                 235     -
futimesat              261     -
utimensat              280    88
setxattr               188     5
lsetxattr              189     6
fsetxattr              190     7
removexattr            197    14
lremovexattr           198    15
fremovexattr           199    16
mknod                  133     -
mknodat                259    33

# files by handle, and what workers could talk by over files that all of them read: watching, locks
name_to_handle_at      303   264
open_by_handle_at      304   265
fanotify_init          300   262
fanotify_mark          301   263
flock                   73    32
inotify_init           253     -
inotify_init1          294    26
inotify_add_watch      254    27

# memory and queues that no resource limit holds, or that belong to other processes
memfd_create           319   279
memfd_secret           447   447
shmget                  29   194
shmat                   30   196
shmctl                  31   195
semget                  64   190
semop                   65   193
semtimedop             220   192
semctl                  66   191
msgget                  68   186
msgsnd                  69   189
msgrcv                  70   188
msgctl                  71   187
mq_open                240   180
mq_unlink              241   181

# precedence over others
sched_setaffinity      203   122
sched_setscheduler     144   119
sched_setparam         142   118
sched_setattr          314   274
setpriority            141   140
ioprio_set             251    30

# ways deep into the kernel
bpf                    321   280
perf_event_open        298   241
userfaultfd            323   282
io_uring_setup         425   425
io_uring_enter         426   426
io_uring_register      427   427
io_setup               206     0
io_submit              209     2
keyctl                 250   219
add_key                248   217
request_key            249   218
modify_ldt             154     -
iopl                   172     -
ioperm                 173     -

# the machine as a whole
reboot                 169   142
kexec_load             246   104
kexec_file_load        320   294
init_module            175   105
finit_module           313   273
delete_module          176   106
create_module          174     -
uselib                 134     -
swapon                 167   224
swapoff                168   225
acct                   163    89
quotactl               179    60
quotactl_fd            443   443
nfsservctl             180    42
lookup_dcookie         212    18
settimeofday           164   170
clock_settime          227   112
clock_adjtime          305   266
adjtimex               159   171
sethostname            170   161
setdomainname          171   162
syslog                 103   116
vhangup                153    58
sync                   162    81
syncfs                 306   267
"""

# Those that are denied in part: of a group of processes, or by their arguments.
PARTLY = """
kill                    62   129
tkill                  200   130
tgkill                 234   131
rt_sigqueueinfo        129   138
rt_tgsigqueueinfo      297   240
setsid                 112   157
setpgid                109   154
socketpair              53   199
clone                   56   220
clone3                 435   435
prlimit64              302   261
personality            135    92
ioctl                   16    29
fcntl                   72    25
"""


def numbers(table: str, machine: str) -> dict[str, int]:
    """Number by name of the calls that this machine, x86_64 or aarch64, has."""
    column = {"x86_64": 1, "aarch64": 2}[machine]
    rows = [line.split() for line in table.splitlines() if line and not line.startswith("#")]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
