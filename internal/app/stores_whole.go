//go:build !carrier

package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
	"github.com/convox-ci/convox-ci/internal/rackd/kms"
	"github.com/convox-ci/convox-ci/internal/rackd/s3"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// openStores gives the stores of a rack: those of its data, but for what the inputs
// say is elsewhere.
func (r *runningRack) openStores(ctx context.Context, in StoreInputs, data *disk.Store, a *account) (rackd.Stores, error) {
	stores := data.Stores()
	var layout objectsPlace
	if in.Objects != "" {
		layout, _ = in.objects() // they were checked
		objects, err := bucket(ctx, layout, a)
		if err == nil {
			err = objects.Check(ctx)
		}
		if err != nil {
			return stores, inputFault("objects", unmade(err))
		}
		stores.Objects = objects
		r.stores = append(r.stores, "Objects:  "+objects.Name())
	}
	if in.Records == "" {
		return stores, nil
	}
	at, _ := in.records()
	o := dynamodb.Options{Tables: at.tables(in.Name)}
	if layout.app != "" && at.key != "" { // what a v2 rack can read, where it looks for it
		o.Environments = stores.Objects
	}
	var err error
	if o.Config, err = a.in(ctx, at.region); err == nil {
		o.Seal, err = sealer(ctx, at, data, o.Config)
	}
	if err != nil {
		return stores, inputFault("records", err)
	}
	records, err := dynamodb.Open(ctx, o)
	if err != nil {
		return stores, inputFault("records", unmade(err))
	}
	objects := stores.Objects
	stores = records.Stores()
	stores.Objects = objects
	r.stores = append(r.stores, "Records:  "+o.Tables.Builds+", "+o.Tables.Releases+", "+o.Tables.Records+" in "+o.Config.Region)
	return stores, nil
}

// tables are those of a rack.
func (p recordsPlace) tables(rack string) dynamodb.Tables {
	return dynamodb.TablesOf(cmp.Or(p.prefix, lowerName(rack)))
}

// lowerName is the name of a rack as names on AWS can have it in them.
func lowerName(rack string) string {
	return strings.TrimSuffix(rackd.BuildCacheName(rack), "-build-cache")
}

// unmade says of what is not there how to make it.
func unmade(err error) error {
	if errors.Is(err, s3.ErrNoBucket) || errors.Is(err, dynamodb.ErrNoTable) {
		return fmt.Errorf("%w; rack init makes it", err)
	}
	return err
}

// sealer is what secrets among records are sealed with: a key of KMS, or one of the
// data that is for nothing else.
func sealer(ctx context.Context, at recordsPlace, data *disk.Store, c aws.Config) (dynamodb.Sealer, error) {
	if at.key != "" {
		return kms.Open(ctx, c, at.key)
	}
	secret, err := data.Secret("records in DynamoDB")
	if err != nil {
		return nil, err
	}
	return vault.Key(secret), nil
}

// bucket is what keeps objects in S3.
func bucket(ctx context.Context, at objectsPlace, a *account) (*s3.Store, error) {
	c, err := a.in(ctx, at.region)
	if err != nil {
		return nil, err
	}
	return s3.New(s3.Options{Config: c, Bucket: at.bucket, Prefix: at.prefix, App: at.app})
}

// makeStores makes what is missing of the tables and the bucket that inputs name, and
// says what is there now.
func (p *process) makeStores(ctx context.Context, in StoreInputs) (made []string, err error) {
	a, err := p.account()
	if err != nil {
		return nil, err
	}
	if in.Objects != "" {
		at, _ := in.objects()
		objects, err := bucket(ctx, at, a)
		if err != nil {
			return nil, inputFault("objects", err)
		}
		found, err := objects.Init(ctx)
		for _, what := range found {
			made = append(made, "Made:     "+what)
		}
		if err != nil {
			return made, inputFault("objects", err)
		}
		made = append(made, "Objects:  "+objects.Name())
	}
	if in.Records != "" {
		at, _ := in.records()
		c, err := a.in(ctx, at.region)
		if err != nil {
			return made, inputFault("records", err)
		}
		tables := at.tables(in.Name)
		if err := dynamodb.Init(ctx, c, tables); err != nil {
			return made, inputFault("records", err)
		}
		made = append(made, "Records:  "+tables.Builds+", "+tables.Releases+", "+tables.Records+" in "+c.Region)
	}
	return made, nil
}
