package entry

import (
	"bytes"
	"encoding/json"
	"errors"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/convox-ci/convox-ci/internal/image"
)

// object is a JSON object of which only a few members are known: the others are
// kept as they are, also those that no library of ours has a name for.
type object map[string]json.RawMessage

// take reads a member; v stays as it is if there is none.
func (o object) take(name string, v any) error {
	if len(o[name]) == 0 {
		return nil
	}
	return json.Unmarshal(o[name], v)
}

func (o object) put(name string, v any) error {
	data, err := encode(v)
	o[name] = data
	return err
}

// encode leaves & and < in texts as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

var errNoObject = errors.New("it is no JSON object")

func decode(raw []byte) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errNoObject
	}
	return o, nil
}

// wrapConfig puts the program before the entry point of an image's configuration,
// and its layer behind the others. The command stays what it is, also if it is
// none: whoever starts the image hears from the program then.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
func wrapConfig(raw []byte, diffID v1.Hash) ([]byte, error) {
	o, err := decode(raw)
	if err != nil {
		return nil, err
	}
	config, words := object{}, []string{}
	if err := o.take("config", &config); err != nil {
		return nil, err
	}
	if config == nil { // null
		config = object{}
	}
	if err := config.take("Entrypoint", &words); err != nil {
		return nil, err
	}
	if err := config.put("Entrypoint", append([]string{image.WrapperFile}, words...)); err != nil {
		return nil, err
	}
	if err := o.put("config", config); err != nil {
		return nil, err
	}
	if err := o.addLayer(diffID); err != nil {
		return nil, err
	}
	return encode(o)
}

// step is what is known of an entry of a history.
type step struct {
	Created   json.RawMessage `json:"created,omitempty"`
	CreatedBy string          `json:"created_by"`
}

// addLayer adds a layer to the list of them, and to the history if that tells of
// all others.
func (o object) addLayer(diffID v1.Hash) error {
	rootFS := object{}
	if err := o.take("rootfs", &rootFS); err != nil {
		return err
	}
	if rootFS == nil {
		return errNoObject
	}
	var diffIDs, history []json.RawMessage
	if err := errors.Join(rootFS.take("diff_ids", &diffIDs), o.take("history", &history)); err != nil {
		return err
	}
	told := 0
	for _, entry := range history {
		var of struct {
			Empty bool `json:"empty_layer"`
		}
		if err := json.Unmarshal(entry, &of); err != nil {
			return err
		}
		if !of.Empty {
			told++
		}
	}
	if told == len(diffIDs) && len(history) > 0 {
		entry, err := encode(step{Created: o["created"], CreatedBy: "convox-env"})
		if err != nil {
			return err
		}
		if err := o.put("history", append(history, entry)); err != nil {
			return err
		}
	}
	added, err := encode(diffID)
	if err != nil {
		return err
	}
	if err := rootFS.put("diff_ids", append(diffIDs, added)); err != nil {
		return err
	}
	return o.put("rootfs", rootFS)
}

// wrapManifest puts another configuration, and one more layer, into a manifest.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
func wrapManifest(raw, config []byte, added v1.Descriptor) ([]byte, error) {
	o, err := decode(raw)
	if err != nil {
		return nil, err
	}
	described, layers := object{}, []json.RawMessage{}
	if err := errors.Join(o.take("config", &described), o.take("layers", &layers)); err != nil {
		return nil, err
	}
	if described == nil {
		return nil, errNoObject
	}
	delete(described, "data") // that was the other one
	last, err := encode(added)
	if err != nil {
		return nil, err
	}
	err = errors.Join(described.put("digest", hash(config)), described.put("size", len(config)),
		o.put("config", described), o.put("layers", append(layers, last)))
	if err != nil {
		return nil, err
	}
	return encode(o)
}
