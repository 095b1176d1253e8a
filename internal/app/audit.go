//go:build !carrier

package app

import (
	"encoding/json"
	"errors"
	"os"
	"sync"

	"github.com/convox-ci/convox-ci/internal/rackd"
)

// maxAudit is how long the record of changes gets, in bytes, before it is begun
// anew: some hundred thousand lines. The one before is kept.
const maxAudit = 64 << 20

// auditLog is the record of changes to a rack, a line of JSON for each.
type auditLog struct {
	path   string
	max    int64
	notice func(string) // told of what could not be written

	mu   sync.Mutex
	file *os.File
	size int64
}

func openAudit(path string, notice func(string)) (*auditLog, error) {
	a := &auditLog{path: path, max: maxAudit, notice: notice}
	return a, a.open()
}

func (a *auditLog) open() error {
	f, err := os.OpenFile(a.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	a.file, a.size = f, info.Size()
	return nil
}

// note adds a line. The change has been made: a disk that is full is no reason
// not to answer.
func (a *auditLog) note(c rackd.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line, err := json.Marshal(c)
	if err == nil && a.size >= a.max {
		err = a.renew()
	}
	if err == nil {
		var n int
		n, err = a.file.Write(append(line, '\n'))
		a.size += int64(n)
	}
	if err != nil {
		a.notice("The record of changes could not be written: " + err.Error())
	}
}

func (a *auditLog) renew() error {
	if err := errors.Join(a.file.Close(), os.Rename(a.path, a.path+".1")); err != nil {
		return errors.Join(err, a.open())
	}
	return a.open()
}

func (a *auditLog) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file.Close()
}
