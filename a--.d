-: linux-agent/verb/explain.h linux-agent/machine/running.h \
 linux-agent/machine/config.h linux-agent/trust/cms.h \
 linux-agent/base/err.h linux-agent/http/httpopts.h shared/record.h \
 shared/error.h shared/trace.h shared/state.h
linux-agent/machine/running.h:
linux-agent/machine/config.h:
linux-agent/trust/cms.h:
linux-agent/base/err.h:
linux-agent/http/httpopts.h:
shared/record.h:
shared/error.h:
shared/trace.h:
shared/state.h:
