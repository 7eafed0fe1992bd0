# Completion of nuthatch for bash. Written by `go test ./cmd/nuthatch -update`. Do not edit.
_nuthatch()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local options files values words='' verb='' i
    case $COMP_CWORD:${COMP_WORDS[1]} in
        [!1]:ctl|[1-9][0-9]:ctl)
            options='-h --help -a --address -c --conf-file -T --token-file --cacert --cert --key -j --json -p --pool -n --limit -w --window --since --for --wait --keys'
            files='-c --conf-file -T --token-file --cacert --cert --key'
            values='-a --address -p --pool -n --limit -w --window --since --for --keys'
            words='status info stats servers cluster clients latency slowlog hotkeys denials events where config ready preview reload drain upgrade pause resume disable enable reconnect kill'
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
    if [[ " $files " == *" $prev "* ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
        return
    elif [[ " $values " == *" $prev "* ]]; then
        COMPREPLY=()
        return
    fi
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [[ " $files $values " != *" ${COMP_WORDS[i - 1]} "* && ${COMP_WORDS[i]} != -* ]]; then
            verb=${COMP_WORDS[i]}
            break
        fi
    done
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    elif [[ " preview " == *" $verb "* ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
}
complete -o filenames -F _nuthatch nuthatch
