#!/usr/bin/env bash
# Runs one verb of convox-ci with the parameters of a command of the orb.
#
# CircleCI gives them as PARAM_NAME, as they stand in the configuration: nothing in
# them is ever run, and ${NAME} is replaced here. The binary gets them as INPUT_NAME
# of its environment, never as arguments. What is left at its default is not given,
# so that a variable CONVOX_NAME of the job counts.
#
# bash 3.2 has to do, which is what macOS has.
if [ -z "${BASH_VERSION-}" ]; then
	echo "error: the steps of this orb need bash, which this image lacks" >&2
	exit 1
fi
set -euo pipefail

# The binary's own status for a wrong input.
wrong_input=2

fail() {
	printf 'error: %s\n' "$1" >&2
	exit "$wrong_input"
}

# quote prints a text as one word of a shell.
quote() {
	local apostrophe="'\\''"
	printf "'%s'" "${1//\'/$apostrophe}"
}

# expand sets REPLY to a text with ${NAME} and $NAME replaced by variables of the
# environment. CircleCI's own command is there in every job, and knows more forms.
expand() {
	REPLY=$1
	[[ $1 == *'$'* ]] || return 0
	if command -v circleci >/dev/null 2>&1 && REPLY=$(printf '%s' "$1" | circleci env subst 2>/dev/null); then
		return 0
	fi
	local rest=$1 name
	REPLY=
	while [[ $rest == *'$'* ]]; do
		REPLY+=${rest%%'$'*}
		rest=${rest#*'$'}
		if [[ $rest =~ ^\{([A-Za-z_][A-Za-z0-9_]*)\} || $rest =~ ^([A-Za-z_][A-Za-z0-9_]*) ]]; then
			name=${BASH_REMATCH[1]}
			rest=${rest:${#BASH_REMATCH[0]}}
			REPLY+=$(printenv "$name" || true) # and no variable of this script
		else
			REPLY+='$'
		fi
	done
	REPLY+=$rest
}

# inputs gives the parameters of these names, with variables replaced.
inputs() {
	local name parameter
	for name in "$@"; do
		parameter=PARAM_$name
		expand "${!parameter-}"
		export "INPUT_$name=$REPLY"
	done
}

# literal_inputs gives parameters as they are: what they hold is for a shell on the rack.
literal_inputs() {
	local name parameter
	for name in "$@"; do
		parameter=PARAM_$name
		export "INPUT_$name=${!parameter-}"
	done
}

# switches gives booleans, which arrive as 1 and 0 or true and false, if they differ
# from a default.
switches() {
	local default=$1 name parameter
	shift
	for name in "$@"; do
		parameter=PARAM_$name
		case $default:${!parameter-} in
		*: | false:0 | false:false | true:1 | true:true) ;;
		*) export "INPUT_$name=${!parameter}" ;;
		esac
	done
}

# secret gives an input the value of the variable that a parameter names. If that
# was chosen and is empty, the usual ones must not take its place: they may be the
# key to another rack.
secret() {
	local input=$1 usual=$2 name
	name=PARAM_$input
	name=${!name-}
	name=${name:-$usual}
	[[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || fail "$input: the parameter is the name of an environment variable, and not its value"
	export "INPUT_$input=${!name-}"
	if [ -z "${!name-}" ] && [ "$name" != "$usual" ]; then
		unset "$usual" "CONVOX_$input"
	fi
}

# assigned prints what the outputs so far give a variable.
assigned() {
	(
		# shellcheck disable=SC1091 # assignments, quoted by the binary
		. "$work/new.env"
		printf '%s' "${!1-}"
	)
}

verb=$PARAM_VERB
case $verb in
build | deploy | promote | run | rollback) ;;
*) fail "\"$verb\" is no verb of the orb" ;;
esac

# CONVOX_APP is said of the app, the name of the repository only guessed.
# shellcheck disable=SC2016 # the default as it stands in the orb
if [ "${PARAM_APP-}" = '${CIRCLE_PROJECT_REPONAME}' ] && [ -n "${CONVOX_APP-}" ]; then
	PARAM_APP=
fi
inputs RACK APP HOST CONTEXT MANIFEST DESCRIPTION GIT_SHA RELEASE SERVICE BUILD_ARGS SET_ENV TIMEOUT TO
inputs DELIVERY CACHE_FROM CACHE_TO ROLE_TO_ASSUME AWS_REGION
literal_inputs COMMAND BEFORE_PROMOTE AFTER_PROMOTE
switches false NO_CACHE WILDCARD_DOMAIN DEVELOPMENT EXTERNAL FORCE LAST_GOOD
switches true WAIT
secret PASSWORD CONVOX_PASSWORD
secret RACK_URL RACK_URL

# While it runs, what it leaves is kept apart: the directory for it may lie in the
# source, which is packed meanwhile.
expand "${PARAM_OUTPUT_DIR:-convox-output}"
case $REPLY in
/*) output_dir=$REPLY ;;
*) output_dir=$PWD/$REPLY ;;
esac
work=$(mktemp -d)
mkdir "$work/before"
for file in outputs.env outputs.json build.log deploy.log promote.log run.log rollback.log; do
	if [ -f "$output_dir/$file" ]; then
		mv -f "$output_dir/$file" "$work/before/"
	fi
done
rmdir "$output_dir" 2>/dev/null || true
# A deploy is a build too, and the name of its log the same.
log=$verb.log
[ "$verb" != deploy ] || log=build.log
export INPUT_OUTPUT_FILE=$work/outputs.json

# exports prints how much is in the file for later steps.
exports() {
	if [ -f "${BASH_ENV-}" ]; then
		wc -c <"$BASH_ENV"
	else
		echo 0
	fi
}

# collect puts what the verb left into the directory for it. What an earlier step of
# this job left there stays, under what is new.
collect() {
	: >"$work/new.env"
	if [ -f "${BASH_ENV-}" ]; then
		tail -c "+$(($1 + 1))" "$BASH_ENV" >"$work/new.env"
	fi
	mkdir -p -- "$output_dir" || return 1
	if [ "${CONVOX_CI_OUTPUTS-}" != "$output_dir" ]; then # of another job
		rm -f "$work/before/outputs.env" "$work/before/outputs.json"
	fi
	for file in "$work"/before/*.log; do
		[ ! -f "$file" ] || mv -f "$file" "$output_dir/" || return 1
	done
	mv -f "$work/$log" "$output_dir/" || return 1
	touch "$work/before/outputs.env" "$work/before/outputs.json" "$work/outputs.json"
	cat "$work/before/outputs.env" "$work/new.env" >"$output_dir/outputs.env" || return 1
	# The binary writes an output a line, with its name in the first quotes.
	awk -F '"' '
		/^  "/ { sub(/,$/, ""); if (!($2 in line)) order[++n] = $2; line[$2] = $0 }
		END { print "{"; for (i = 1; i <= n; i++) print line[order[i]] (i < n ? "," : ""); print "}" }
	' "$work/before/outputs.json" "$work/outputs.json" >"$output_dir/outputs.json" || return 1
	if [ -n "${BASH_ENV-}" ]; then
		printf 'export CONVOX_CI_OUTPUTS=%s\n' "$(quote "$output_dir")" >>"$BASH_ENV"
	fi
}

# Deploy markers are notes on CircleCI's own pages, and never fail a deploy. The
# version they show is the release, so that a rollback gets its id.
marker=convox-$verb-$$ # a job may deploy twice
release_marker() {
	circleci run release "$@" </dev/null || {
		echo "warning: the deploy marker could not be written: circleci run release $1" >&2
		return 1
	}
}

plan_marker() {
	local environment component
	expand "${PARAM_ENVIRONMENT_NAME-}"
	environment=${REPLY:-${INPUT_RACK:-${CONVOX_RACK:-default}}}
	expand "${PARAM_COMPONENT_NAME-}"
	component=${REPLY:-${INPUT_APP:-${CONVOX_APP-}}}
	set -- plan "$marker" "--environment-name=$environment" "--component-name=$component" "--target-version=$1"
	[ "$verb" != rollback ] || set -- "$@" --rollback
	release_marker "$@" && release_marker update "$marker" --status=RUNNING && touch "$work/planned"
}

# release prints the id of the release once there is one, as the binary writes it.
release() {
	sed -n 's/^  "release": "\([A-Za-z0-9]*\)",\{0,1\}$/\1/p' "$work/outputs.json" 2>/dev/null
}

# watch_release plans the marker as soon as there is a release, and ends with the verb.
watch_release() {
	local id
	trap '' INT TERM HUP
	while ! [ -e "$work/ended" ] && kill -0 $$ 2>/dev/null; do
		id=$(release || true)
		if [ -n "$id" ]; then
			plan_marker "$id" || true
			touch "$work/tried"
			return
		fi
		sleep 1
	done
}

# settle_marker says how it ended. What nobody waited for is left as running.
settle_marker() {
	local id reason
	if ! [ -e "$work/tried" ]; then
		id=$(release || true)
		plan_marker "${id:-${INPUT_GIT_SHA:-${CIRCLE_SHA1:-none}}}" || true
	fi
	[ -e "$work/planned" ] || return 0
	case $1:$(assigned CONVOX_STATUS):$(assigned CONVOX_PROMOTED) in
	0:complete:true) release_marker update "$marker" --status=SUCCESS ;;
	0:complete:*) echo "The deploy marker stays at RUNNING: nobody waited for the end" ;;
	*:cancelled:*) release_marker update "$marker" --status=CANCELED ;;
	*)
		reason=$(assigned CONVOX_REASON)
		release_marker update "$marker" --status=FAILED "--failure-reason=${reason:-exit status $1}"
		;;
	esac
}

marking=
if [[ ${PARAM_DEPLOY_MARKER-} =~ ^(1|true)$ ]]; then
	if command -v circleci >/dev/null 2>&1; then
		watch_release &
		marking=$!
	else
		echo "warning: there is no deploy marker: the circleci command is not there" >&2
	fi
fi

before=$(exports)
status=0
# A signal goes to all of the step. The binary ends the build, and this waits for it
# and tells what became of it.
trap : INT TERM HUP
convox-ci "$verb" </dev/null 2>&1 | (
	trap '' INT TERM HUP
	tee "$work/$log"
) || status=${PIPESTATUS[0]}
collect "$before" || echo "warning: the outputs could not be kept in $output_dir" >&2
if [ -n "$marking" ]; then
	touch "$work/ended"
	wait "$marking" || true
	settle_marker "$status" || true
fi
rm -rf "$work"
exit "$status"
