"""The one table of routes: path, who may, who answers, what the API document says."""

from __future__ import annotations

from bot.store.brakes import BrakeView
from bot.store.brakes import Overview as BrakesOverview
from bot.store.desk import CaseFile, CaseView, NoteView
from bot.store.drafts import ReplyView
from bot.store.feed import PostView
from bot.store.own_labels import LabelSet
from bot.store.report import ArticleView, SourceView
from bot.store.retractions import SaidView
from bot.store.teaching import CorrectionView, RevisionView, TeachingView
from bot.web import api, brakes, cases, feed, labels, library, machines, openapi, sign_in, teaching, why
from bot.web.route import Access, Doc, Route
from bot.web.why import WhyView

_ID = "{id:[0-9]{1,18}}"
_SET = "{set}"

PAGES = (
    Route(method="GET", path="/sign-in", access=Access.OPEN, handler=sign_in.page),
    Route(method="POST", path="/sign-in", access=Access.OPEN, handler=sign_in.sign_in),
    Route(method="GET", path="/sign-in/link/{token}", access=Access.OPEN, handler=sign_in.link_page),
    Route(method="POST", path="/sign-in/link/{token}", access=Access.OPEN, handler=sign_in.use_link),
    Route(method="POST", path="/sign-out", access=Access.VIEWER, handler=sign_in.sign_out),
    Route(method="GET", path="/", access=Access.VIEWER, handler=feed.page),
    Route(method="GET", path="/feed/events", access=Access.VIEWER, handler=feed.stream),
    Route(method="GET", path=f"/posts/{_ID}/why", access=Access.VIEWER, handler=why.page),
    Route(method="POST", path=f"/posts/{_ID}/corrections", access=Access.AGENT, handler=feed.correct),
    Route(method="GET", path="/cases", access=Access.VIEWER, handler=cases.page),
    Route(method="GET", path=f"/cases/{_ID}", access=Access.VIEWER, handler=cases.case),
    Route(method="GET", path=f"/cases/{_ID}/events", access=Access.VIEWER, handler=cases.stream),
    Route(method="POST", path=f"/cases/{_ID}/claim", access=Access.AGENT, handler=cases.claim),
    Route(method="POST", path=f"/cases/{_ID}/release", access=Access.AGENT, handler=cases.release),
    Route(method="POST", path=f"/cases/{_ID}/notes", access=Access.AGENT, handler=cases.note),
    Route(method="POST", path=f"/cases/{_ID}/replies", access=Access.AGENT, handler=cases.reply),
    Route(method="POST", path=f"/cases/{_ID}/resolve", access=Access.AGENT, handler=cases.resolve),
    Route(method="POST", path=f"/cases/{_ID}/reopen", access=Access.AGENT, handler=cases.reopen),
    Route(method="POST", path=f"/replies/{_ID}", access=Access.AGENT, handler=cases.edit),
    Route(method="POST", path=f"/replies/{_ID}/settle", access=Access.AGENT, handler=cases.settle),
    Route(method="POST", path="/length", access=Access.AGENT, handler=cases.length),
    Route(method="GET", path="/sources", access=Access.VIEWER, handler=library.sources),
    Route(method="GET", path="/articles", access=Access.VIEWER, handler=library.articles),
    Route(method="GET", path=f"/articles/{_ID}", access=Access.VIEWER, handler=library.article),
    Route(method="GET", path="/teaching", access=Access.LEAD, handler=teaching.page),
    Route(method="POST", path=f"/teaching/corrections/{_ID}", access=Access.LEAD, handler=teaching.review),
    Route(method="POST", path=f"/teaching/revisions/{_ID}/accept", access=Access.LEAD, handler=teaching.accept),
    Route(method="POST", path="/teaching/undo", access=Access.LEAD, handler=teaching.undo),
    Route(method="POST", path="/teaching/refit", access=Access.LEAD, handler=teaching.refit),
    Route(method="GET", path="/brakes", access=Access.VIEWER, handler=brakes.page),
    Route(method="POST", path="/brakes/stop", access=Access.AGENT, handler=brakes.stop),
    Route(method="POST", path="/brakes/release", access=Access.LEAD, handler=brakes.release),
    Route(method="POST", path="/brakes/retract", access=Access.LEAD, handler=brakes.retract),
    Route(method="GET", path="/labels", access=Access.VIEWER, handler=labels.page),
    Route(method="POST", path="/labels", access=Access.LEAD, handler=labels.add),
    Route(method="POST", path=f"/labels/{_SET}/again", access=Access.LEAD, handler=labels.again),
    Route(method="POST", path=f"/labels/{_SET}/delete", access=Access.LEAD, handler=labels.delete),
    Route(method="POST", path=f"/labels/{_SET}/examples/{_ID}/delete", access=Access.LEAD, handler=labels.remove),
)

MACHINES = (
    Route(method="GET", path="/static/{name}", access=Access.OPEN, handler=machines.asset),
    Route(method="GET", path="/livez", access=Access.OPEN, handler=machines.livez),
    Route(method="GET", path="/readyz", access=Access.OPEN, handler=machines.readyz),
    Route(method="GET", path="/metrics", access=Access.OPEN, handler=machines.metrics),
    Route(method="POST", path="/hooks/{source}", access=Access.SIGNED, handler=machines.hook),
)

API = (
    Route(
        method="GET",
        path="/api/v1/posts",
        access=Access.VIEWER,
        handler=api.posts,
        doc=Doc(summary="Posts, newest first", answer=PostView, paged=True, query=feed.FILTERS),
    ),
    Route(
        method="GET",
        path=f"/api/v1/posts/{_ID}",
        access=Access.VIEWER,
        handler=api.post,
        doc=Doc(summary="One post", answer=PostView),
    ),
    Route(
        method="GET",
        path=f"/api/v1/posts/{_ID}/why",
        access=Access.VIEWER,
        handler=why.answer,
        doc=Doc(summary="Why a post has its labels: the words that made them", answer=WhyView),
    ),
    Route(
        method="POST",
        path=f"/api/v1/posts/{_ID}/corrections",
        access=Access.AGENT,
        handler=api.correct,
        doc=Doc(summary="Correct a label", answer=PostView, body=api.CorrectionBody),
    ),
    Route(
        method="GET",
        path="/api/v1/cases",
        access=Access.VIEWER,
        handler=api.all_cases,
        doc=Doc(summary="Cases, first due first", answer=CaseView, paged=True, query=api.CASE_FILTERS),
    ),
    Route(
        method="GET",
        path=f"/api/v1/cases/{_ID}",
        access=Access.VIEWER,
        handler=api.case,
        doc=Doc(summary="One case with its full context", answer=CaseFile),
    ),
    Route(
        method="POST",
        path=f"/api/v1/cases/{_ID}/claim",
        access=Access.AGENT,
        handler=api.claim,
        doc=Doc(summary="Claim a case", answer=CaseView, body=api.ClaimBody),
    ),
    Route(
        method="POST",
        path=f"/api/v1/cases/{_ID}/release",
        access=Access.AGENT,
        handler=api.release,
        doc=Doc(summary="Give a case back to its queue", answer=CaseView, body=api.Nothing),
    ),
    Route(
        method="POST",
        path=f"/api/v1/cases/{_ID}/resolve",
        access=Access.AGENT,
        handler=api.resolve,
        doc=Doc(summary="Resolve a case", answer=CaseView, body=api.Nothing),
    ),
    Route(
        method="POST",
        path=f"/api/v1/cases/{_ID}/reopen",
        access=Access.AGENT,
        handler=api.reopen,
        doc=Doc(summary="Reopen a resolved case", answer=CaseView, body=api.Nothing),
    ),
    Route(
        method="POST",
        path=f"/api/v1/cases/{_ID}/notes",
        access=Access.AGENT,
        handler=api.note,
        doc=Doc(summary="Add a note", answer=NoteView, body=api.NoteBody, status=201),
    ),
    Route(
        method="POST",
        path=f"/api/v1/cases/{_ID}/replies",
        access=Access.AGENT,
        handler=api.reply,
        doc=Doc(summary="Write a reply, as a draft or to be sent", answer=ReplyView, body=api.ReplyBody, status=201),
    ),
    Route(
        method="GET",
        path="/api/v1/replies",
        access=Access.VIEWER,
        handler=api.replies,
        doc=Doc(summary="Replies, newest first", answer=ReplyView, paged=True, query=api.REPLY_FILTERS),
    ),
    Route(
        method="GET",
        path=f"/api/v1/replies/{_ID}",
        access=Access.VIEWER,
        handler=api.one_reply,
        doc=Doc(summary="One reply", answer=ReplyView),
    ),
    Route(
        method="POST",
        path=f"/api/v1/replies/{_ID}/approve",
        access=Access.AGENT,
        handler=api.approve,
        doc=Doc(summary="Approve a draft; twice is once", answer=ReplyView, body=api.ApprovalBody),
    ),
    Route(
        method="POST",
        path=f"/api/v1/replies/{_ID}/edit",
        access=Access.AGENT,
        handler=api.edit,
        doc=Doc(summary="Change the words of a draft", answer=ReplyView, body=api.TextBody),
    ),
    Route(
        method="POST",
        path=f"/api/v1/replies/{_ID}/discard",
        access=Access.AGENT,
        handler=api.discard,
        doc=Doc(summary="Throw a draft away", answer=ReplyView, body=api.Nothing),
    ),
    Route(
        method="POST",
        path=f"/api/v1/replies/{_ID}/settle",
        access=Access.AGENT,
        handler=api.settle,
        doc=Doc(summary="Say whether a reply in question was said", answer=ReplyView, body=api.SettleBody),
    ),
    Route(
        method="GET",
        path="/api/v1/articles",
        access=Access.VIEWER,
        handler=api.articles,
        doc=Doc(summary="Articles", answer=ArticleView, paged=True, query=api.ARTICLE_FILTERS),
    ),
    Route(
        method="GET",
        path=f"/api/v1/articles/{_ID}",
        access=Access.VIEWER,
        handler=api.article,
        doc=Doc(summary="One article", answer=ArticleView),
    ),
    Route(
        method="GET",
        path="/api/v1/sources",
        access=Access.VIEWER,
        handler=api.sources,
        doc=Doc(summary="Health of all sources", answer=SourceView, paged=True),
    ),
    Route(
        method="GET",
        path="/api/v1/sources/{name}",
        access=Access.VIEWER,
        handler=api.source,
        doc=Doc(summary="Health of one source", answer=SourceView),
    ),
    Route(
        method="GET",
        path="/api/v1/teaching",
        access=Access.LEAD,
        handler=api.all_teaching,
        doc=Doc(summary="What the heads were taught, and corrections that no lead has seen", answer=TeachingView),
    ),
    Route(
        method="POST",
        path=f"/api/v1/teaching/corrections/{_ID}/approve",
        access=Access.LEAD,
        handler=api.approve_correction,
        doc=Doc(summary="Approve somebody else's correction: it teaches", answer=CorrectionView, body=api.Nothing),
    ),
    Route(
        method="POST",
        path=f"/api/v1/teaching/corrections/{_ID}/reject",
        access=Access.LEAD,
        handler=api.reject_correction,
        doc=Doc(summary="Reject a correction: it teaches nothing", answer=CorrectionView, body=api.Nothing),
    ),
    Route(
        method="POST",
        path=f"/api/v1/teaching/revisions/{_ID}/accept",
        access=Access.LEAD,
        handler=api.accept_revision,
        doc=Doc(summary="Take a proposed revision into service", answer=RevisionView, body=api.Nothing),
    ),
    Route(
        method="POST",
        path="/api/v1/teaching/undo",
        access=Access.LEAD,
        handler=api.undo_teaching,
        doc=Doc(summary="Take the newest active revision out of service", answer=RevisionView, body=api.Nothing),
    ),
    Route(
        method="POST",
        path="/api/v1/teaching/refit",
        access=Access.LEAD,
        handler=api.refit,
        doc=Doc(summary="Ask for a refit", answer=RevisionView, body=api.Nothing, status=202),
    ),
    Route(
        method="GET",
        path="/api/v1/labels",
        access=Access.VIEWER,
        handler=labels.api_all,
        doc=Doc(summary="Labels of your own: all sets", answer=LabelSet, paged=True),
    ),
    Route(
        method="GET",
        path=f"/api/v1/labels/{_SET}",
        access=Access.VIEWER,
        handler=labels.api_one,
        doc=Doc(summary="One set of labels with its examples, and how well they are told apart", answer=LabelSet),
    ),
    Route(
        method="PUT",
        path=f"/api/v1/labels/{_SET}",
        access=Access.LEAD,
        handler=labels.api_replace,
        doc=Doc(summary="Create or replace a set of labels", answer=LabelSet, body=labels.SetBody),
    ),
    Route(
        method="DELETE",
        path=f"/api/v1/labels/{_SET}",
        access=Access.LEAD,
        handler=labels.api_delete,
        doc=Doc(summary="Delete a set of labels", answer=labels.Deleted),
    ),
    Route(
        method="POST",
        path=f"/api/v1/labels/{_SET}/examples",
        access=Access.LEAD,
        handler=labels.api_add,
        doc=Doc(summary="Add an example to a label", answer=LabelSet, body=labels.ExampleBody, status=201),
    ),
    Route(
        method="DELETE",
        path=f"/api/v1/labels/{_SET}/examples/{_ID}",
        access=Access.LEAD,
        handler=labels.api_remove,
        doc=Doc(summary="Take an example away; a set without any is deleted", answer=labels.Deleted),
    ),
    Route(
        method="POST",
        path=f"/api/v1/labels/{_SET}/again",
        access=Access.LEAD,
        handler=labels.api_again,
        doc=Doc(summary="Label recent posts again", answer=labels.Again, body=labels.AgainBody),
    ),
    Route(
        method="GET",
        path="/api/v1/brakes",
        access=Access.VIEWER,
        handler=brakes.api_all,
        doc=Doc(summary="Which brakes stand, which stood, and how many replies wait", answer=BrakesOverview),
    ),
    Route(
        method="POST",
        path="/api/v1/brakes",
        access=Access.AGENT,
        handler=brakes.api_stop,
        doc=Doc(summary="Stop everything, or one topic, at once", answer=BrakeView, body=brakes.BrakeBody, status=201),
    ),
    Route(
        method="POST",
        path="/api/v1/brakes/release",
        access=Access.LEAD,
        handler=brakes.api_release,
        doc=Doc(summary="Release a brake", answer=brakes.Released, body=brakes.BrakeBody),
    ),
    Route(
        method="GET",
        path="/api/v1/retractions",
        access=Access.VIEWER,
        handler=brakes.api_said,
        doc=Doc(
            summary="What was said lately, and what became of deleting it",
            answer=SaidView,
            paged=True,
            query={"last": (), "source": (), "article": ()},
        ),
    ),
    Route(
        method="POST",
        path="/api/v1/retractions",
        access=Access.LEAD,
        handler=brakes.api_retract,
        doc=Doc(
            summary="Delete what was said lately, where the networks can",
            answer=brakes.Asked,
            body=brakes.RetractBody,
            status=202,
        ),
    ),
    Route(method="GET", path="/api/openapi.json", access=Access.VIEWER, handler=openapi.page),
)

ROUTES = (*PAGES, *MACHINES, *API)
