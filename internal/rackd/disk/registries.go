package disk

import (
	"context"
	"encoding/json"

	"go.etcd.io/bbolt"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

var _ rackd.Registries = (*Store)(nil)

// registriesBucket has the credentials of registries, by server.
const registriesBucket = "registries"

// sealedRegistry is the credentials of a registry as they are stored: the password
// is in the envelope alone. Records of earlier versions of this program have none.
type sealedRegistry struct {
	rack.Registry
	Sealed *vault.Envelope `json:"sealed,omitempty"`
}

func (s *Store) sealRegistry(r rack.Registry) (sealedRegistry, error) {
	stored := sealedRegistry{Registry: r}
	var err error
	stored.Password = ""
	stored.Sealed, err = s.seal(r.Password, registrySeal(r))
	return stored, err
}

func (s *Store) openRegistry(stored sealedRegistry) (rack.Registry, error) {
	if stored.Sealed == nil {
		return stored.Registry, nil
	}
	var err error
	stored.Password, err = s.open(stored.Sealed, registrySeal(stored.Registry))
	return stored.Registry, err
}

// registrySeal is what a password is sealed for: who can write to the file must
// not be able to have it sent to another server, or for another user.
func registrySeal(r rack.Registry) string { return "registry " + r.Username + "@" + r.Server }

// resealRegistry seals a stored record that is plain, and returns nil for others.
func (s *Store) resealRegistry(data []byte) ([]byte, error) {
	var r sealedRegistry
	if err := json.Unmarshal(data, &r); err != nil || r.Password == "" {
		return nil, err
	}
	stored, err := s.sealRegistry(r.Registry)
	if err != nil {
		return nil, err
	}
	return json.Marshal(stored)
}

// ListRegistries implements [rackd.Registries].
func (s *Store) ListRegistries(context.Context) ([]rack.Registry, error) {
	stored, err := list[sealedRegistry](s, registriesBucket)
	if err != nil {
		return nil, err
	}
	var all []rack.Registry
	for _, sealed := range stored {
		r, err := s.openRegistry(sealed)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// PutRegistry implements [rackd.Registries].
func (s *Store) PutRegistry(_ context.Context, r rack.Registry) error {
	stored, err := s.sealRegistry(r)
	if err != nil {
		return err
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		b, err := makeBucket(tx, []string{registriesBucket})
		if err != nil {
			return err
		}
		return b.Put([]byte(r.Server), data)
	})
}

// RemoveRegistry implements [rackd.Registries].
func (s *Store) RemoveRegistry(_ context.Context, server string) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := bucket(tx, []string{registriesBucket})
		if b == nil || b.Get([]byte(server)) == nil {
			return rack.ErrNotFound
		}
		return b.Delete([]byte(server))
	})
}
