"""The configuration files of a bench in miniature."""

REDIS_CONFIG = """\
bind 127.0.0.1
port {redis_port}
dir {path}/config
dbfilename redis_queue.rdb
save 60 1
appendonly yes
loglevel warning
"""

SUPERVISORD_CONFIG = """\
[unix_http_server]
file={path}/config/supervisor/supervisord.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{path}/config/supervisor/supervisord.sock

[supervisord]
logfile={path}/logs/supervisord.log
pidfile={path}/config/supervisor/supervisord.pid
nodaemon=true
silent=true
identifier={name}
environment={environment}

[include]
files={path}/config/supervisor.conf
"""

# As `bench setup supervisor` writes them: groups, autorestart, grace (bench/config/templates/supervisor.conf)
PROGRAM = """\
[program:{name}]
command={command}
priority={priority}
autostart=true
{autorestart}
stdout_logfile={path}/logs/{log}.log
stderr_logfile={path}/logs/{log}.error.log
stopwaitsecs={grace}
directory={directory}
{more}
"""
WORKER_OPTIONS = "killasgroup=true\nnumprocs={count}\nprocess_name=%(program_name)s-%(process_num)d"
THREADED = "-w 1 --threads 4 --preload -t 120"
