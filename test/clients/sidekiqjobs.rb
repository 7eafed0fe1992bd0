# Jobs of Sidekiq 6: `sidekiq -r ./sidekiqjobs.rb` works them off, `ruby sidekiqjobs.rb` asks,
# and prints "ok" at the end.
#
# redis-namespace puts one hash tag before all keys. PORT is the proxy's.

require 'sidekiq'
require 'redis-namespace'

options = { url: "redis://127.0.0.1:#{ENV.fetch('PORT')}/0", namespace: '{sidekiq}' }
Sidekiq.configure_server { |c| c.redis = options }
Sidekiq.configure_client { |c| c.redis = options }

class Adding
  include Sidekiq::Worker

  def perform(x, y)
    Sidekiq.redis { |r| r.rpush('sums', x + y) }
  end
end

class Failing
  include Sidekiq::Worker
  sidekiq_options retry: 3

  def perform
    raise 'as it should'
  end
end

if $PROGRAM_NAME == __FILE__
  require 'sidekiq/api'
  10.times { |i| Adding.perform_async(i, 1) }
  Adding.perform_in(1, 100, 1)
  Sidekiq::Client.push_bulk('class' => Adding, 'args' => (0...20).map { |i| [i, 1000] })
  Failing.perform_async
  sums = (1..31).map { Sidekiq.redis { |r| r.blpop('sums', timeout: 60) }&.last.to_i }
  want = (1..10).to_a + [101] + (1000...1020).to_a
  abort "sums #{sums.sort}, want #{want}" unless sums.sort == want
  deadline = Time.now + 60
  sleep 0.1 until Sidekiq::RetrySet.new.size == 1 || Time.now > deadline
  abort 'the failing job is not tried again' unless Sidekiq::RetrySet.new.size == 1
  abort "#{Sidekiq::Stats.new.processed} were worked off" unless Sidekiq::Stats.new.processed >= 31
  puts 'ok'
end
