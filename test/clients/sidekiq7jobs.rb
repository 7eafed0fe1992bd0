# Jobs of Sidekiq 7: `sidekiq -r ./sidekiq7jobs.rb` works them off, `ruby sidekiq7jobs.rb` asks,
# and prints "ok" at the end.
#
# It has no prefix for its keys: the pool has one server. PORT is the proxy's.

require 'sidekiq'
abort "this is Sidekiq #{Sidekiq::VERSION}" unless Sidekiq::VERSION.start_with?('7.')

options = { url: "redis://127.0.0.1:#{ENV.fetch('PORT')}/0", timeout: 20 }
Sidekiq.configure_server do |c|
  c.redis = options
  c.average_scheduled_poll_interval = 1
end
Sidekiq.configure_client do |c|
  c.redis = options
  c.logger = Logger.new($stderr) # standard output is for "ok"
end

class Adding
  include Sidekiq::Job

  def perform(x, y)
    Sidekiq.redis { |r| r.call('RPUSH', 'sums', x + y) }
  end
end

class Failing
  include Sidekiq::Job
  sidekiq_options retry: 3

  def perform
    raise 'as it should'
  end
end

if $PROGRAM_NAME == __FILE__
  require 'sidekiq/api'
  10.times { |i| Adding.perform_async(i, 1) }
  Adding.perform_in(1, 100, 1)
  Adding.perform_bulk((0...20).map { |i| [i, 1000] })
  Failing.perform_async
  sums = (1..31).map { Sidekiq.redis { |r| r.blocking_call(65, 'BLPOP', 'sums', 60) }&.last.to_i }
  want = (1..10).to_a + [101] + (1000...1020).to_a
  abort "sums #{sums.sort}, want #{want}" unless sums.sort == want
  deadline = Time.now + 60
  sleep 0.1 until Sidekiq::RetrySet.new.size == 1 || Time.now > deadline
  abort 'the failing job is not tried again' unless Sidekiq::RetrySet.new.size == 1
  sleep 0.1 until Sidekiq::Stats.new.processed >= 31 || Time.now > deadline
  abort "#{Sidekiq::Stats.new.processed} were worked off" unless Sidekiq::Stats.new.processed >= 31
  abort 'no process is known' unless Sidekiq::ProcessSet.new.size == 1
  puts 'ok'
end
