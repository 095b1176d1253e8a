package app

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// StoreInputs are the inputs about what a rack remembers.
type StoreInputs struct {
	Name    string `env:"name" envDefault:"local" usage:"name of the rack"`
	Records string `env:"records" usage:"Amazon DynamoDB to keep records in: dynamodb://REGION/PREFIX?kms-key=KEY; tables begin with PREFIX (default: the name of the rack), secrets are sealed with KEY of KMS (default: a key in the data)"`
	Objects string `env:"objects" usage:"bucket on Amazon S3 to keep sources and logs in: s3://BUCKET/PREFIX?region=REGION; with app=APP for that app alone, under the keys that a v2 rack has in its bucket"`
	workflow.AWSRole
}

// Where what a rack remembers can be instead of the data.
const (
	dynamoScheme = "dynamodb"
	s3Scheme     = "s3"
)

// recordsPlace is what the input records names.
type recordsPlace struct {
	region string // "" for that of the credentials
	prefix string // of the tables; "" for the name of the rack
	key    string // of KMS; "" for the one in the data
}

// objectsPlace is what the input objects names.
type objectsPlace struct {
	region      string // "" for that of the credentials
	bucket      string
	prefix, app string // "" for none
}

var (
	bucketName  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	tablePrefix = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,200}$`) // of tables, whose names have up to 255
)

// placeURL takes an input of the form SCHEME://HOST/PATH?NAME=VALUE apart. The names are
// those that it may have.
func placeURL(input, text, scheme string, names ...string) (u *url.URL, values url.Values, wrong []options.Problem) {
	example := map[string]string{dynamoScheme: "dynamodb://REGION/PREFIX", s3Scheme: "s3://BUCKET/PREFIX"}[scheme]
	fault := func(message string, accepted ...string) (*url.URL, url.Values, []options.Problem) {
		return nil, nil, []options.Problem{{Input: input, Value: text, Message: message, Accepted: accepted}}
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != scheme || u.Opaque != "" || u.User != nil || u.Fragment != "" || !strings.HasPrefix(text, scheme+"://") {
		return fault("is not of the form " + example)
	}
	values, err = url.ParseQuery(u.RawQuery)
	if err != nil {
		return fault("is not of the form " + example + "?NAME=VALUE")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(names, name) {
			return fault("has no "+name, names...)
		}
		if len(values[name]) > 1 || values[name][0] == "" {
			return fault("needs one value of " + name)
		}
	}
	if region := values.Get("region"); region != "" && !workflow.IsRegion(region) {
		return fault(region+" is not a region of AWS", "us-east-1")
	}
	return u, values, nil
}

// records takes the input records apart.
func (in *StoreInputs) records() (p recordsPlace, wrong []options.Problem) {
	u, values, wrong := placeURL("records", in.Records, dynamoScheme, "kms-key")
	if wrong != nil {
		return p, wrong
	}
	p = recordsPlace{region: u.Host, prefix: strings.Trim(u.Path, "/"), key: values.Get("kms-key")}
	if p.region != "" && !workflow.IsRegion(p.region) {
		wrong = append(wrong, options.Problem{Input: "records", Value: in.Records, Message: p.region + " is not a region of AWS",
			Accepted: []string{"dynamodb://us-east-1/PREFIX", "dynamodb:///PREFIX for the region that is set"}})
	}
	if p.prefix != "" && !tablePrefix.MatchString(p.prefix) {
		wrong = append(wrong, options.Problem{Input: "records", Value: in.Records, Message: p.prefix + " cannot begin the names of tables",
			Accepted: []string{"up to 200 letters, digits, _, . and -"}})
	}
	return p, wrong
}

// objects takes the input objects apart.
func (in *StoreInputs) objects() (p objectsPlace, wrong []options.Problem) {
	u, values, wrong := placeURL("objects", in.Objects, s3Scheme, "region", "app")
	if wrong != nil {
		return p, wrong
	}
	p = objectsPlace{region: values.Get("region"), bucket: u.Host, prefix: strings.Trim(u.Path, "/"), app: values.Get("app")}
	if !bucketName.MatchString(p.bucket) {
		wrong = append(wrong, options.Problem{Input: "objects", Value: in.Objects, Message: "does not name a bucket: that is 3 to 63 of a-z, 0-9, - and .",
			Accepted: []string{"s3://BUCKET", "s3://BUCKET/PREFIX"}})
	}
	return p, wrong
}

// wrongStores finds what is wrong with the inputs about what a rack remembers.
func (in *StoreInputs) wrongStores() (found []options.Problem) {
	if in.Records != "" {
		_, wrong := in.records()
		found = append(found, wrong...)
	}
	if in.Objects != "" {
		_, wrong := in.objects()
		found = append(found, wrong...)
	}
	return append(found, in.AWSRole.Wrong()...)
}
