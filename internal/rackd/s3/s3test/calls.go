package s3test

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
)

// call is what a request asks for.
type call struct {
	action, method string
	bucket, key    string
	region         string // that it is signed for
	subresource    string
	query          string
}

// maxKey is the longest key, in bytes.
const maxKey = 1024

// deleteObject is the action of two calls, one of which is about many objects.
const deleteObject = "s3:DeleteObject"

// subresources are the settings of a bucket that calls can be about, with what S3
// says where there are none.
var subresources = map[string]struct{ action, none string }{
	"publicAccessBlock": {"BucketPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration"},
	"encryption":        {"EncryptionConfiguration", "ServerSideEncryptionConfigurationNotFoundError"},
	"lifecycle":         {"LifecycleConfiguration", "NoSuchLifecycleConfiguration"},
}

// examine finds out what a request asks for, and whether it may be asked at all.
func (f *Fake) examine(r *http.Request) (call, *fault) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	c := call{method: r.Method, query: r.URL.RawQuery}
	c.bucket, c.key, _ = strings.Cut(path, "/")
	m := signature.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil || !strings.Contains(m[4], "x-amz-date") || !strings.Contains(m[4], "host") || m[3] != "s3" {
		return c, &fault{http.StatusForbidden, "AccessDenied", "Access Denied"}
	}
	c.region = m[2]
	if m[1] != AccessKey {
		return c, &fault{http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."}
	}
	for name, s := range subresources {
		if r.URL.Query().Has(name) && c.key == "" {
			verb := map[string]string{http.MethodGet: "Get", http.MethodPut: "Put"}[r.Method]
			c.subresource, c.action = name, "s3:"+verb+s.action
			return c, nil
		}
	}
	c.action = action(r, c.key)
	switch {
	case c.action == "":
		return c, &fault{http.StatusMethodNotAllowed, "MethodNotAllowed", "no call that is known here"}
	case len(c.key) > maxKey:
		return c, &fault{http.StatusBadRequest, "KeyTooLongError", "Your key is too long"}
	case climbs(c.key):
		return c, &fault{http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI."}
	}
	return c, nil
}

// climbs tells whether a key has more parts .. than others before them.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
func climbs(key string) bool {
	depth := 0
	for part := range strings.SplitSeq(key, "/") {
		if depth++; part == ".." {
			depth -= 2
		}
		if depth < 0 {
			return true
		}
	}
	return false
}

// action is what a policy has to allow for a call of those that this project makes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func action(r *http.Request, key string) string {
	q := r.URL.Query()
	switch {
	case key == "" && r.Method == http.MethodPut && len(q) == 0:
		return "s3:CreateBucket"
	case key == "" && r.Method == http.MethodGet && q.Get("list-type") == "2":
		return "s3:ListBucket"
	case key == "" && r.Method == http.MethodGet && q.Has("uploads"):
		return "s3:ListBucketMultipartUploads"
	case key == "" && r.Method == http.MethodPost && q.Has("delete"):
		return deleteObject
	case key == "":
		return ""
	case r.Method == http.MethodGet && !q.Has("uploadId"), r.Method == http.MethodHead:
		return "s3:GetObject"
	case r.Method == http.MethodPut, r.Method == http.MethodPost && (q.Has("uploads") || q.Has("uploadId")):
		return "s3:PutObject"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "s3:AbortMultipartUpload"
	case r.Method == http.MethodDelete:
		return deleteObject
	}
	return ""
}

// serve carries a call out.
func (f *Fake) serve(w http.ResponseWriter, r *http.Request, c call) {
	var fail *fault
	switch {
	case c.subresource != "" && r.Method == http.MethodGet:
		fail = f.getSetting(w, c)
	case c.subresource != "":
		fail = f.putSetting(r, c)
	case c.action == "s3:CreateBucket":
		if fail = f.createBucket(r, c); fail == nil {
			r.Body = http.NoBody
			r.ContentLength = 0
			f.handler.ServeHTTP(w, r)
		}
	case c.action == deleteObject && c.key == "":
		fail = f.deleteObjects(w, r)
	default:
		f.handler.ServeHTTP(w, r)
	}
	if fail != nil {
		fail.write(w)
	}
}

// Smallest is the setting of how large an object is that rules of the lifecycle move:
// it goes with those in a header of its own, without which it is the first of the two.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
const Smallest = "transition-default-minimum-object-size"

const smallestHeader = "X-Amz-" + Smallest

var smallestSizes = []string{"all_storage_classes_128K", "varies_by_storage_class"}

func (f *Fake) getSetting(w http.ResponseWriter, c call) *fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := f.buckets[c.bucket].settings[c.subresource]
	if text == nil {
		return &fault{http.StatusNotFound, subresources[c.subresource].none, "there is none"}
	}
	w.Header().Set("Content-Type", "application/xml")
	if c.subresource == "lifecycle" {
		w.Header().Set(smallestHeader, cmp.Or(string(f.buckets[c.bucket].settings[Smallest]), smallestSizes[0]))
	}
	w.Write(text)
	return nil
}

func (f *Fake) putSetting(r *http.Request, c call) *fault {
	var lifecycle struct {
		Rule []struct{ ID string }
	}
	if err := readXML(r, &lifecycle); err != nil {
		return &fault{http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"}
	}
	text, _ := io.ReadAll(r.Body) // from memory
	var ids []string
	for _, rule := range lifecycle.Rule {
		if len(rule.ID) > 255 || slices.Contains(ids, rule.ID) {
			return &fault{http.StatusBadRequest, "InvalidArgument", "Rule ID must be unique, and at most 255 characters"}
		}
		ids = append(ids, rule.ID)
	}
	smallest := cmp.Or(r.Header.Get(smallestHeader), smallestSizes[0])
	if !slices.Contains(smallestSizes, smallest) {
		return &fault{http.StatusBadRequest, "InvalidRequest", "the smallest object of a transition is none of " + strings.Join(smallestSizes, ", ")}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buckets[c.bucket].settings[c.subresource] = text
	if c.subresource == "lifecycle" {
		f.buckets[c.bucket].settings[Smallest] = []byte(smallest)
	}
	return nil
}

// createBucket decides whether a bucket may be made.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
func (f *Fake) createBucket(r *http.Request, c call) *fault {
	var in struct {
		XMLName            xml.Name
		LocationConstraint string
	}
	if err := readXML(r, &in); err != nil {
		return &fault{http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch b := f.buckets[c.bucket]; {
	case c.region == "us-east-1" && in.LocationConstraint != "":
		return &fault{http.StatusBadRequest, "InvalidLocationConstraint", "The specified location-constraint is not valid"}
	case c.region != "us-east-1" && in.LocationConstraint != c.region:
		return &fault{http.StatusBadRequest, "IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."}
	case b != nil && b.owner != Account:
		return &fault{http.StatusConflict, "BucketAlreadyExists", "The requested bucket name is not available."}
	case b != nil:
		return &fault{http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."}
	}
	f.buckets[c.bucket] = &bucket{region: c.region, owner: Account, settings: map[string][]byte{}}
	return nil
}

// deleteObjects decides about each object, and leaves those that may be removed to
// gofakes3.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
func (f *Fake) deleteObjects(w http.ResponseWriter, r *http.Request) *fault {
	type object struct{ Key string }
	type refusal struct{ Key, Code, Message string }
	in := struct {
		XMLName xml.Name `xml:"Delete"`
		Object  []object
		Quiet   bool
	}{}
	if err := readXML(r, &in); err != nil || len(in.Object) == 0 || len(in.Object) > maxDeleted {
		return &fault{http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"}
	}
	var refused []refusal
	f.mu.Lock()
	in.Object = slices.DeleteFunc(in.Object, func(o object) bool {
		no := f.denied[deleteObject] || f.denied[deleteObject+" "+o.Key]
		if no {
			refused = append(refused, refusal{o.Key, "AccessDenied", "Access Denied"})
		}
		return no
	})
	f.mu.Unlock()
	if len(refused) == 0 {
		f.handler.ServeHTTP(w, r)
		return nil
	}
	text, err := xml.Marshal(in)
	if err != nil {
		return &fault{http.StatusInternalServerError, "InternalError", err.Error()}
	}
	rest := r.Clone(r.Context())
	rest.Header = http.Header{} // whose checksums are of another body
	rest.Body, rest.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	f.handler.ServeHTTP(&discarded{}, rest)
	w.Header().Set("Content-Type", "application/xml")
	xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Error   []refusal
	}{Error: refused})
	return nil
}

// maxDeleted is how many objects one call may remove.
const maxDeleted = 1000
