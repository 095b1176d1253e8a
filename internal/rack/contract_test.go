package rack_test

import (
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/wire"
)

// replays are what our client does where an official one did what was recorded,
// by the name of the recording, without the generation where both are the same.
// The server of the recording is there to be asked just what it was asked then,
// apart from asides and what is said to be the same in other words.
//
// That the password is sent as it is and no list of racks is asked for before
// streams differs too, and needs no word here: the recorded password is the same
// either way, and what was only read may be left unread.
var replays = map[string]func(*testing.T, wire.Recording){
	"apps":              apps,
	"apps-cancel":       cancelApp,
	"apps-create":       createApp,
	"apps-info":         appInfo,
	"apps-info-missing": appMissing,
	"v2-badrackname":    noSuchRack,
	"v2-rackflag":       noSuchRack,
	"v3-badrackname":    listRacks,
	"v3-rackflag":       rackByPart,
	"rack":              system,
	"rack-direct":       system,
	"rack-session":      system,
	"racks":             listRacks,

	"rack-params":            system,
	"rack-params-set":        setParameters,
	"rack-params-set-direct": setParameters,

	"build":                builds,
	"build-args-comma":     builds,
	"build-args-malformed": builds,
	"build-args-newline":   builds,
	"build-color":          builds,
	"build-direct":         builds,
	"build-drop":           builds,
	"build-failed":         builds,
	"build-flaky":          buildBehindAFault,
	"build-id":             builds,
	"build-options":        builds,
	"build-session":        builds,
	"build-silent":         builds,
	"build-subdir":         builds,
	"builds":               listBuilds,
	"builds-limit":         listBuilds,
	"builds-export":        export,
	"builds-export-failed": exportFailed,
	"builds-import":        importBuild,
	"builds-import-id":     importBuild,
	"builds-import-bad":    importBad,
	"builds-info":          buildInfo,
	"builds-info-missing":  buildMissing,
	"builds-logs":          buildLog,
	"builds-logs-missing":  buildLogMissing,

	"deploy":            deploy,
	"deploy-direct":     deploy,
	"deploy-failed":     builds,
	"deploy-on-v2-rack": deploy,
	"deploy-on-v3-rack": deploy,
	"deploy-rollback":   deploy,
	"deploy-wait":       deploy,

	"releases":                  listReleases,
	"releases-create-from":      releaseFrom,
	"releases-info":             releaseInfo,
	"releases-manifest":         releaseInfo,
	"releases-promote":          promote,
	"releases-promote-force":    promote,
	"releases-promote-latest":   promoteLatest,
	"releases-promote-older":    promoteOlder,
	"releases-promote-updating": promote,
	"releases-promote-wait":     promote,
	"releases-rollback":         rollBack,
	"releases-rollback-wait":    rollBack,

	"env":             env,
	"env-get":         env,
	"env-set":         setEnv,
	"env-set-id":      setEnv,
	"env-set-promote": setEnv,
	"env-set-replace": setEnv,
	"env-set-stdin":   setEnv,
	"env-unset":       setEnv,

	"services":                  listServices,
	"exec":                      exec,
	"exec-missing":              execMissing,
	"exec-newline":              exec,
	"logs":                      logs,
	"logs-filter":               logs,
	"ps":                        processes,
	"ps-info":                   processes,
	"ps-stop":                   stopProcess,
	"run-attached":              run,
	"run-attached-stdin":        run,
	"run-attached-noentrypoint": runWithoutEntrypoint,
	"run-cut":                   runCut,
	"run-dashdash":              runDetached,
	"run-detached":              runDetached,
	"run-newline":               runNewline,
	"run-on-v2-rack":            run,
	"run-quotes":                runDetached,
	"run-unknown-service":       runUnknownService,
}

// TestContract replays every recording that is listed for the client's end.
func TestContract(t *testing.T) {
	unused := map[string]bool{}
	for name := range replays {
		unused[name] = true
	}
	for _, name := range wire.Names(wire.Client) {
		_, plain, _ := strings.Cut(name, "-")
		key := name
		if replays[key] == nil {
			key = plain
		}
		if replays[key] == nil {
			t.Errorf("%s is listed for the client and is not replayed", name)
			continue
		}
		delete(unused, key)
		bubble(t, name, func(t *testing.T) { replays[key](t, wire.Load(t, name)) })
	}
	for name := range unused {
		t.Errorf("there is no recording of %s", name)
	}
}

// flag gives the values that a recorded client was given for a flag.
func flag(r wire.Recording, name string) (values []string) {
	for i, word := range r.Argv {
		if word == "--"+name && i+1 < len(r.Argv) {
			values = append(values, r.Argv[i+1])
		}
	}
	return values
}

// given tells whether a recorded client was given a flag.
func given(r wire.Recording, name string) bool { return len(flag(r, name)) > 0 }

// last is the last exchange of a recording.
func last(r wire.Recording) wire.Exchange { return r.Exchanges[len(r.Exchanges)-1] }
