package embedded

import (
	"context"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/frontend"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"google.golang.org/grpc"
)

// bound has each build run in a group with its limits. BuildKit itself holds limits
// for each step, and would hold those of a group that a client names: but by that it
// knows steps in the cache, where no build would find those of another.
func (s *service) bound(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	build, ok := req.(*controlapi.SolveRequest)
	if !ok {
		return next(ctx, req)
	}
	b, err := takeBounds(build.FrontendAttrs)
	if err != nil {
		return nil, err
	}
	end, err := s.groups.begin(build.Session, b)
	if err != nil {
		return nil, err
	}
	defer end()
	return next(ctx, req)
}

// boundWorker runs steps in the groups of their builds.
type boundWorker struct {
	*base.Worker
	groups *groups
}

// ResolveOp gives the steps that run programs, alone, another way to be run. What
// they are known by in the cache stays.
func (w boundWorker) ResolveOp(v solver.Vertex, s frontend.FrontendLLBBridge, m *session.Manager, p worker.ProxyOpt) (solver.Op, error) {
	op, err := w.Worker.ResolveOp(v, s, m, p)
	sys, ok := v.Sys().(*pb.Op)
	if err != nil || !ok || sys.GetExec() == nil {
		return op, err
	}
	within := func(parent string) (solver.Op, error) {
		own := sys.CloneVT()
		own.GetExec().Meta.CgroupParent = parent
		return w.Worker.ResolveOp(vertexWith{v, own}, s, m, p)
	}
	return boundOp{op, w.groups, within}, nil
}

// vertexWith is a vertex with another operation.
type vertexWith struct {
	solver.Vertex
	op *pb.Op
}

func (v vertexWith) Sys() any { return v.op }

// boundOp runs a program in the group of the builds that need it.
type boundOp struct {
	solver.Op
	groups *groups
	within func(parent string) (solver.Op, error)
}

// Exec asks which builds need it no sooner than now: others may have come to share it.
func (o boundOp) Exec(ctx context.Context, job solver.JobContext, inputs []solver.Result) ([]solver.Result, error) {
	parent, leave := o.groups.join(session.AllSessionIDs(job.Session()))
	defer leave()
	if parent == "" {
		return o.Op.Exec(ctx, job, inputs)
	}
	op, err := o.within(parent)
	if err != nil {
		return nil, err
	}
	return op.Exec(ctx, job, inputs)
}
