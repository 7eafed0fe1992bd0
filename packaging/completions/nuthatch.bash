# Completion of nuthatch for bash. Written by `go test ./cmd/nuthatch -update`. Do not edit.
_nuthatch()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local options files values words='' verb='' i
    # --option=value is three words.
    if [[ $cur == '=' ]]; then
        cur=''
    elif [[ $prev == '=' ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $COMP_CWORD:${COMP_WORDS[1]} in
        [!1]:ctl|[1-9][0-9]:ctl)
            options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool -n --limit -w --window --since --for --wait --keys'
            files='-c --conf-file -T --token-file --cacert --cert --key'
            values='-a --address -p --pool -n --limit -w --window --since --for --keys'
            words='status info stats servers cluster clients latency slowlog hotkeys denials events where config ready preview reload drain upgrade pause resume disable enable reconnect kill help'
            ;;
        [!1]:top|[1-9][0-9]:top)
            options='-h --help -i --interval -a --address -c --conf-file -T --token-file --cacert --cert --key'
            files='-c --conf-file -T --token-file --cacert --cert --key'
            values='-i --interval -a --address'
            ;;
        [!1]:check|[1-9][0-9]:check)
            options='-h --help --against-nutcracker -c --conf-file -p --pool -n --keys --write -j --json'
            files='-c --conf-file'
            values='--against-nutcracker -p --pool -n --keys'
            words='engine'
            ;;
        [!1]:schema|[1-9][0-9]:schema)
            options='-h --help'
            files=''
            values=''
            ;;
        [!1]:demo|[1-9][0-9]:demo)
            options='-h --help -m --memcached -l --listen'
            files=''
            values='-l --listen'
            ;;
        *)
            options='-h --help -V --version -t --test-conf -d --daemonize -D --describe-stats -v --verbose -o --output -c --conf-file -s --stats-port -a --stats-addr -i --stats-interval -p --pid-file -m --mbuf-size --against'
            files='-o --output -c --conf-file -p --pid-file --against'
            values='-v --verbose -s --stats-port -a --stats-addr -i --stats-interval -m --mbuf-size'
            ((COMP_CWORD == 1)) && words='ctl top check schema demo'
            ;;
    esac
    COMPREPLY=()
    if [[ " $files " == *" $prev "* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
    fi
    [[ ${COMP_WORDS[1]} == ctl ]] && case $prev in
        -w|--window) COMPREPLY=($(compgen -W '10s 1m 10m' -- "$cur")); return ;;
        --keys) COMPREPLY=($(compgen -W 'move fail' -- "$cur")); return ;;
    esac
    [[ " $values " == *" $prev "* ]] && return
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [[ " $files $values = " != *" ${COMP_WORDS[i - 1]} "* && ${COMP_WORDS[i]} != -* && ${COMP_WORDS[i]} != '=' ]]; then
            verb=${COMP_WORDS[i]}
            break
        fi
    done
    [[ ${COMP_WORDS[1]} == ctl ]] && case $verb in
        status) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool -n --limit -w --window' ;;
        info) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        stats) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool -w --window' ;;
        servers) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool -w --window' ;;
        cluster) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool' ;;
        clients) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool -n --limit' ;;
        latency) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool' ;;
        slowlog) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool -n --limit' ;;
        hotkeys) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool -n --limit' ;;
        denials) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool' ;;
        events) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool -n --limit --since' ;;
        where) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool' ;;
        config) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        ready) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        preview) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        reload) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        drain) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json --wait' ;;
        upgrade) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        pause) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json --for' ;;
        resume) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        disable) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json --keys' ;;
        enable) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        reconnect) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        kill) options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json' ;;
        help) COMPREPLY=($(compgen -W "$words" -- "$cur")); return ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    elif [[ " preview " == *" $verb "* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _nuthatch nuthatch
