# SPDX-License-Identifier: MIT
# Completion of slotctl(8) for fish. A row is a verb and its words: "=" where a value follows, and which; any: a file.
# The rows are the same in the files of all shells.
set -l rows \
	'status: --json --export --config=' \
	'install: --url-file= --activate=none|reboot|kexec --tries= --allow-downgrade --force --verify-first=yes|no --json --config=' \
	'mark-good: --config=' \
	'confirm: --give-up --config=' \
	'mark-bad: a b --config=' \
	'mark-active: a b --config=' \
	'rollback: --activate=none|reboot|kexec --force --config=' \
	'rehearse: --activate=none|reboot --config=' \
	'kexec: load exec explain unload a b --json --config=' \
	'doctor: --repair --json --config=' \
	'report: --config=' \
	'loader: install --config=' \
	'provision: --bundle= --dry-run --wipe= --size= --esp-size= --slot-size= --image-size= --data=rest --sector-size=512|4096 --seed= --guid= --boot-entries --tries= --loader= --shim= --keyring= --compatible= --json --config=' \
	'bundle: create sign info verify' \
	'bundle create: --output= --compatible= --version= --uki= --loader= --addon= --credential= --sysext= --confext= --efi-auth= --file= --image= --reference= --base= --key= --cert= --crl= --unsigned --raise-floor --no-delta --reuse= --chunk-size= --level= --threads= --json' \
	'bundle sign: --signature=' \
	'bundle info: --json --manifest --url-file= --config=' \
	'bundle verify: --keyring= --url-file= --config='

complete -c slotctl -l help
complete -c slotctl -n __fish_use_subcommand -l version
for row in $rows
    set -l verbs (string split ' ' -- (string split ': ' -- $row)[1])
    set -l when "__fish_seen_subcommand_from $verbs[1]"
    complete -c slotctl -f -n __fish_use_subcommand -a $verbs[1]
    if set -q verbs[2]
        set when "$when; and __fish_seen_subcommand_from $verbs[2]"
    end
    for word in (string split ' ' -- (string split ': ' -- $row)[2])
        set -l option (string split -m 1 = -- (string replace -r '^--' '' -- $word))
        if not string match -q -- '--*' $word
            complete -c slotctl -n $when -a $word
        else if not set -q option[2]
            complete -c slotctl -n $when -l $option[1]
        else if test -n "$option[2]"
            complete -c slotctl -n $when -l $option[1] -x -a (string replace -a '|' ' ' $option[2])
        else
            complete -c slotctl -n $when -l $option[1] -r -F
        end
    end
end
