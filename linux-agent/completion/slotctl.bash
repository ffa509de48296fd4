# SPDX-License-Identifier: MIT
# Completion of slotctl(8) for bash. A row is a verb and its words: "=" where a value follows, and which; any: a file.
# The rows are the same in the files of all shells.
_slotctl_rows=(
	'status: --json --export --config='
	'install: --url-file= --activate=none|reboot|kexec --tries= --allow-downgrade --force --verify-first=yes|no --json --config='
	'mark-good: --config='
	'confirm: --give-up --config='
	'mark-bad: a b --config='
	'mark-active: a b --config='
	'rollback: --activate=none|reboot|kexec --force --config='
	'rehearse: --activate=none|reboot --config='
	'kexec: load exec explain unload a b --json --config='
	'doctor: --repair --json --config='
	'report: --config='
	'loader: install --config='
	'provision: --bundle= --dry-run --wipe= --size= --esp-size= --slot-size= --image-size= --data=rest --sector-size=512|4096 --seed= --guid= --boot-entries --tries= --loader= --shim= --keyring= --compatible= --json --config='
	'bundle: create sign info verify'
	'bundle create: --output= --compatible= --version= --uki= --loader= --addon= --credential= --sysext= --confext= --efi-auth= --file= --image= --reference= --base= --key= --cert= --crl= --unsigned --raise-floor --no-delta --reuse= --chunk-size= --level= --threads= --json'
	'bundle sign: --signature='
	'bundle info: --json --manifest --url-file= --config='
	'bundle verify: --keyring= --url-file= --config='
)

_slotctl()
{
	local line=${COMP_LINE:0:COMP_POINT} cur words=() row options='' option candidates='--help' values
	cur=${line##*[[:space:]]}
	read -ra words <<<"${line%"$cur"}"
	for row in "${_slotctl_rows[@]}"; do
		if [[ ${#words[@]} -eq 1 ]]; then
			candidates+=" ${row%%[ :]*} --version"
		elif [[ $row == "${words[1]}: "* || $row == "${words[1]} ${words[2]-}: "* ]]; then
			options=${row#*: }
		fi
	done
	COMPREPLY=()
	for option in $options; do
		candidates+=" ${option/%=*/=}"
		[[ $option == "${cur%%=*}="* && $cur == *=* ]] || continue
		values=${option#*=}
		# The word to complete begins behind "=" where bash splits there.
		[[ $COMP_WORDBREAKS == *=* ]] && option= || option=${cur%%=*}=
		if [[ -n $values ]]; then
			mapfile -t COMPREPLY < <(compgen -P "$option" -W "${values//|/ }" -- "${cur#*=}")
		else
			mapfile -t COMPREPLY < <(compgen -P "$option" -f -- "${cur#*=}")
		fi
		return
	done
	mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$cur" | sort -u)
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
	return 0
}
complete -o default -F _slotctl slotctl
